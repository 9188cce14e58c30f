"""The other direction: what a bureau abroad states is verified and served to a bank here (M58)."""

from dataclasses import dataclass
from typing import Any

from audit.openings import OpeningStore
from gateway.credential.jws import Signer, to_jwk
from gateway.credential.sd_jwt import combine, conceal
from gateway.credential.status_list import StatusBits, Times, list_token
from gateway.demo.cast import BANK, FOREIGN_FIELDS
from gateway.demo.scene import Scene, Told, expect, seconds
from gateway.demo.stage import DAY_S, NODE
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import new_tls_key, read_document_key
from gateway.inbound.checking import Checker
from gateway.inbound.desk import Desk
from gateway.inbound.given_lists import GivenLists
from gateway.inbound.outcomes import Admitted, Handed
from gateway.inbound.vault import Vault
from gateway.registry import issuers
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import sign
from gateway.registry.issuer_claims import ISSUER_TYPE, IssuerClaims
from gateway.repair.delays import Delays
from gateway.repair.publish import Publisher
from gateway.replicas.bystander import Bystander
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State
from gateway.wall_clock import wall_clock_ms
from xinguan.client import RefusedError

BUREAU = "https://bureau.example.sg"
_VCT, _LIST = f"{BUREAU}/vct/credit/1", f"{BUREAU}/status/1"
_ENTRIES, _ENTRY = 131_072, 4_711
_SCALE = "SGB-2026"
_FIRM = {
    "country": "SG",
    "legal_name": "Example Shipping Pte Ltd (synthetic)",
    "rating": "B1",
    "rating_scale": _SCALE,
    "lei": "46009900SYNTHETIC053",
}
_ASKS: dict[str, Any] = {
    "subjects": [f"lei:{_FIRM['lei']}"],
    "purpose": "ENTERPRISE_CREDIT",
    "scenario": "CREDIT_LOAN",
    "operator": "demo-officer-4",
    "case_reference": "demo-loan-2026-42",
}


@dataclass(frozen=True, slots=True)
class _Bureau:
    """A synthetic bureau abroad with its key.

    Args:
        signer: Its key.
        now: Unix seconds.
    """

    signer: Signer
    now: int

    def registration(self) -> IssuerClaims:
        """Return what the authority signs about it: keys, statements, scale, onward use."""
        return IssuerClaims.model_validate(
            {
                "issuer": BUREAU,
                "version": 1,
                "name": "Example Credit Bureau (synthetic)",
                "kind": "BUREAU",
                "jurisdiction": "SG",
                "subjects_of": ("SG",),
                "keys": ({**to_jwk(self.signer.key.public_key()), "kid": self.signer.kid},),
                "statements": (
                    {
                        "vct": _VCT,
                        "form": "SD_JWT",
                        "fields": {
                            "jurisdiction": "country",
                            "name": "legal_name",
                            "grade_original": "rating",
                            "grade_scale": "rating_scale",
                        },
                        "identifiers": {"LEI": "lei"},
                    },
                ),
                "grade_tables": (
                    {
                        "table": "SG-HN",
                        "version": 1,
                        "scale": _SCALE,
                        "grades": {"A1": "A", "B1": "B", "C1": "C"},
                    },
                ),
                "status_prefixes": (f"{BUREAU}/status/",),
                "agreement": {
                    "agreement_id": "MR-SG-2026",
                    "not_before": self.now - DAY_S,
                    "not_after": self.now + 365 * DAY_S,
                    "onward_use": "NO_ONWARD_USE",
                    "onward_zh": "仅供请求机构自用，不得向第三方提供。",
                    "onward_en": "For the requesting institution alone.",
                },
                "not_before": self.now - DAY_S,
            }
        )

    def credential(self) -> str:
        """Return its credential about a firm there, each claim disclosed by itself."""
        digests, disclosures = conceal(_FIRM)
        claims = {
            "iss": BUREAU,
            "vct": _VCT,
            "iat": self.now,
            "exp": self.now + 30 * DAY_S,
            "status": {"status_list": {"idx": _ENTRY, "uri": _LIST}},
            "_sd_alg": "sha-256",
            "_sd": digests,
        }
        return combine(self.signer.sign("dc+sd-jwt", claims), [one.text for one in disclosures])

    def status_list(self) -> str:
        """Return its status list, in which every credential holds."""
        times = Times(self.now, DAY_S // 2, DAY_S)
        return list_token(self.signer, _LIST, StatusBits(_ENTRIES), times)


async def bank_reads_a_foreign_firm(scene: Scene) -> Told:
    """A bureau's credential about a foreign firm is admitted, and a bank reads it."""
    bureau = _Bureau(Signer.of(new_tls_key()), seconds())
    genuine = bureau.credential()
    forged = _Bureau(Signer.of(new_tls_key()), bureau.now).credential()
    admitted = await _admit(scene, bureau, [genuine, forged])
    codes = [outcome.code for outcome in admitted.outcomes]
    expect(codes[0] == "" and codes[1], "the genuine document is admitted, the forged one refused")
    async with scene.client(BANK) as bank:
        answer = await bank.query(FOREIGN_PRODUCT, FOREIGN_FIELDS, end_user="demo desk", **_ASKS)
        refused = ""
        try:
            await bank.query(FOREIGN_PRODUCT, FOREIGN_FIELDS, **_ASKS)
        except RefusedError as error:
            refused = error.code
    (record,) = answer.rows()
    expect((record["grade_original"], record["grade"]) == ("B1", "B"), "both grades are told")
    expect(refused == "END_USER_MISSING", "behind a bureau the end user is named")
    (source,) = answer.decision.coverage.foreign
    return Told(
        "The other direction: a bureau's credential about a foreign firm, served to a bank",
        [
            f"verified and admitted; the forged one was refused: {codes[1]}",
            f"a request that names no end user is refused: {refused}",
            f"restated in the answer: {source.onward_use_en}",
        ],
        [{"field": name, "value": str(record[name])} for name in FOREIGN_FIELDS],
        {"grade": record["grade"], "forged": codes[1], "refused": refused},
    )


async def _admit(scene: Scene, bureau: _Bureau, documents: list[str]) -> Admitted:
    """Register the bureau and hand its documents in, beside the gateway that serves."""
    deployment = scene.stage.deployment
    state, act = deployment.open_state(), Act(seconds(), NODE)
    key = read_document_key(deployment.dev_authority / AUTHORITY_KEY)
    registration = sign(bureau.registration(), key, ISSUER_TYPE)
    keys = deployment.authority_keys().get
    delays = Delays(state)
    try:
        state.run(lambda tx: issuers.register_signed(tx, registration, act, authority_key=keys))
        given = GivenLists([bureau.status_list()])
        return await _desk(scene, state, delays).admit(
            [Handed(str(number), text) for number, text in enumerate(documents)],
            lambda register: Checker(register, given),
            act,
        )
    finally:
        await delays.close()
        state.close()


def _desk(scene: Scene, state: State, delays: Delays) -> Desk:
    deployment, catalogue = scene.stage.deployment, Catalogue.load()
    opening = deployment.secrets().opening_key
    library = SnapshotLibrary(
        deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )
    publisher = Publisher(
        state.journal,
        library,
        Bystander(state, deployment.state_path.parent),
        OpeningStore(opening),
        products=catalogue.products,
        node=NODE,
        clock_ms=wall_clock_ms,
        cleared=delays.note,
    )
    product = catalogue.product(FOREIGN_PRODUCT)
    return Desk(
        state=state,
        library=library,
        publisher=publisher,
        openings=OpeningStore(opening),
        vault=Vault(opening),
        product=product,
        unit=catalogue.unit(product.manager_uscc).name_zh,
        folder=deployment.directory / "inbound",
    )
