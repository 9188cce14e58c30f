"""Credit documents from abroad, over real mutual TLS: in by one door, out by the ordinary one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from audit.openings import OpeningStore
from gateway.cli.console import Session
from gateway.cli.repair_parts import parts_of
from gateway.demo.cast import PARTNER
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.inbound.checking import Checker
from gateway.inbound.desk import Desk
from gateway.inbound.outcomes import Admitted, Handed, Refreshed
from gateway.inbound.vault import Vault
from gateway.registry import issuers
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import sign
from gateway.registry.issuer_claims import ISSUER_TYPE
from gateway.registry.licences import GrantClaims
from tests.gateway.e2e.serving import Member, Site, written
from tests.gateway.e2e.wire import refused
from tests.gateway.inbound.abroad import BUREAU, LEI, OTHER_LEI, UEN, Issuer, Lists
from xinguan.client import Answer
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = (
    "foreign_id", "name", "jurisdiction", "grade_original", "grade", "grade_mapping_id",
    "grade_mapping_version", "issuer", "issuer_kind", "issuer_jurisdiction", "agreement_id",
    "issued_at", "status_as_of", "fresh_until", "onward_use",
)  # fmt: skip
SECRETS = ("payment_performance",)
USER = "示例银行国际业务部-who-must-not-be-logged"
AS_BANK = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN", "subjects": [f"lei:{LEI}"]}
NOTICE_S = 90.0


@dataclass
class Abroad:
    """A site with a registered bureau, and the desk where its documents are handed in."""

    site: Site
    bureau: Issuer

    @contextlib.asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        own = self.site.desk
        parts = parts_of(Session(own.deployment, own.state, own.act))
        catalogue = Catalogue.load()
        yield Desk(
            state=own.state,
            library=parts.library,
            publisher=parts.publisher,
            openings=OpeningStore(own.deployment.secrets().opening_key),
            vault=Vault(own.deployment.secrets().opening_key),
            product=catalogue.product(FOREIGN_PRODUCT),
            unit="示例",
            folder=own.deployment.directory / "inbound",
        )
        await parts.delays.close()

    async def admit(self, *documents: str, lists: tuple[str, ...] = ()) -> Admitted:
        given = Lists(*(lists or (self.bureau.status_list(),)))
        handed = [Handed(str(number), text) for number, text in enumerate(documents)]
        async with self.desk() as desk:
            return await desk.admit(
                handed, lambda register: Checker(register, given), self.site.desk.act
            )

    async def refresh(self, *lists: str) -> Refreshed:
        given = Lists(*lists)
        async with self.desk() as desk:
            return await desk.refresh(lambda register: Checker(register, given), self.site.desk.act)

    def register(self, **changes) -> None:
        own = self.site.desk
        document = sign(self.bureau.registration(**changes), own.signing_key, ISSUER_TYPE)
        keys = own.deployment.authority_keys().get
        own.state.run(lambda tx: issuers.register_signed(tx, document, own.act, authority_key=keys))


@pytest_asyncio.fixture(loop_scope="session")
async def abroad(open_site) -> Abroad:
    found = Abroad(await open_site(), Issuer(now=int(time.time())))
    found.register()
    return found


def bank(site: Site, role: Role = Role.BANK, kind: LicenceKind = LicenceKind.BANKING) -> Member:
    purpose = "ENTERPRISE_CREDIT" if role is Role.BANK else "CREDIT_REPORT"
    return site.desk.enrol(
        role,
        kind,
        grants={FOREIGN_PRODUCT: GrantClaims(fields=(*FIELDS, *SECRETS))},
        purposes=(purpose,),
        scenarios=("CREDIT_LOAN",),
    )


async def ask(site: Site, who: Member, fields=FIELDS, **words) -> list[exchange_pb2.QueryResponse]:
    return await site.query(
        who, FOREIGN_PRODUCT, list(fields), **({"end_user": USER} | AS_BANK | words)
    )


async def rows(site: Site, who: Member, **words) -> list[dict]:
    return Answer(await ask(site, who, **words)).table().to_pylist()


async def test_a_bank_reads_what_a_bureau_stated_with_its_provenance(abroad):
    reader = bank(abroad.site)
    done = await abroad.admit(abroad.bureau.credential())
    assert [one.code for one in done.outcomes] == [""]
    messages = await ask(abroad.site, reader)
    (row,) = Answer(messages).table().to_pylist()
    assert row["foreign_id"] == f"lei:{LEI}"
    assert (row["issuer"], row["issuer_kind"], row["issuer_jurisdiction"]) == (
        BUREAU, "BUREAU", "SG",
    )  # fmt: skip
    assert (row["grade_original"], row["grade"]) == ("B1", "B")
    assert (row["grade_mapping_id"], row["grade_mapping_version"]) == ("SG-HN", 3)
    assert row["status_as_of"].timestamp() == abroad.bureau.now - 60
    assert row["issued_at"].timestamp() == abroad.bureau.now - 600
    # The answer restates what binds its reader, and says whose word it is.
    decision = messages[0].decision
    assert "onward_use" in decision.obligations
    (source,) = decision.coverage.foreign
    assert (source.issuer, source.jurisdiction) == (BUREAU, "SG")
    assert (source.agreement, source.onward_use) == ("MR-SG-2026", "NO_ONWARD_USE")
    assert source.onward_use_en
    assert "转供" not in source.onward_use_en
    assert "第三方" in source.onward_use_zh
    # The intent commits to the end user and never names it; nor the firm.
    intent = abroad.site.entry(decision.intent.index)
    assert len(intent["end_user"]) == 43
    log = b"\n".join(abroad.site.bodies())
    for secret in (USER, LEI, UEN, "Shipping"):
        assert secret.encode() not in log
    # Nor does any file of the gateway, but the records themselves.
    for path, content in written(abroad.site):
        for secret in (USER, LEI, UEN, "Shipping"):
            assert secret.encode() not in content, path.name


async def test_an_agency_reads_it_too_and_by_the_local_number(abroad):
    reader = bank(abroad.site, Role.AGENCY, LicenceKind.ENTERPRISE_CREDIT_FILING)
    await abroad.admit(abroad.bureau.credential(abroad.bureau.claims(lei=None)))
    words = {"purpose": "CREDIT_REPORT", "subjects": [f"reg:SG:{UEN}"]}
    assert [row["foreign_id"] for row in await rows(abroad.site, reader, **words)] == [
        f"reg:SG:{UEN}"
    ]


async def test_a_reader_behind_a_foreign_bureau_names_the_end_user(abroad):
    reader = bank(abroad.site)
    await abroad.admit(abroad.bureau.credential())
    refusal = await refused(
        abroad.site,
        ask(abroad.site, reader, end_user=""),
        "END_USER_MISSING",
        "PERMISSION_DENIED",
        rule="R52",
    )
    assert "PBOC Order 4" in refusal.reasons[0].clause_en
    await refused(
        abroad.site,
        ask(abroad.site, reader, end_user="   "),
        "END_USER_MISSING",
        "PERMISSION_DENIED",
        rule="R52",
    )


async def test_a_foreign_bureau_that_asks_names_its_user_in_each_request(abroad):
    site = abroad.site
    site.desk.check_publicity()
    ordinary = {
        "purpose": "TRADE",
        "scenario": "MUTUAL_RECOGNITION",
        "destination": "SG",
    }
    assert await site.query(PARTNER, "legal_entity_base", ["uscc"], **ordinary)
    abroad.register(version=2, party=PARTNER.party_id)
    await refused(
        site,
        site.query(PARTNER, "legal_entity_base", ["uscc"], **ordinary),
        "END_USER_MISSING",
        "PERMISSION_DENIED",
        rule="R52",
    )
    named = ordinary | {"end_user": "Example Trading Bank"}
    assert await site.query(PARTNER, "legal_entity_base", ["uscc"], **named)


async def test_nobody_else_reads_it(abroad):
    await abroad.admit(abroad.bureau.credential())
    platform = bank(abroad.site, Role.PLATFORM_ENTERPRISE, LicenceKind.PLATFORM_AGREEMENT)
    refusal = await refused(
        abroad.site,
        ask(abroad.site, platform, purpose="CREDIT_REPORT"),
        "FOREIGN_READER",
        "PERMISSION_DENIED",
        rule="R32",
    )
    assert {"FOREIGN_READER", "NOT_PLATFORM_OPERATOR"} <= {one.code for one in refusal.reasons}


async def test_commercial_details_need_the_firm_s_authorisation(abroad):
    reader = bank(abroad.site)
    await abroad.admit(abroad.bureau.credential())
    messages = await ask(abroad.site, reader, fields=("name", "payment_performance"))
    actions = {field.name: field.action for field in messages[0].decision.fields}
    assert actions == {"name": "allow", "payment_performance": "drop"}


async def test_what_is_forged_or_altered_never_comes_in(abroad):
    reader = bank(abroad.site)
    bureau = abroad.bureau
    good = bureau.credential()
    forged = Issuer(now=bureau.now).credential()
    token, first, *rest = good.split("~")
    altered = "~".join([token, first[:-1] + ("A" if first[-1] != "A" else "B"), *rest])
    unmapped = bureau.credential(bureau.claims(rating="Q"))
    thai = bureau.credential(bureau.claims(country="TH"))
    done = await abroad.admit(forged, altered, unmapped, thai)
    assert done.outcomes[0].code == "FOREIGN_SIGNATURE"
    assert done.outcomes[1].code in {"FOREIGN_DISCLOSURE", "FOREIGN_MALFORMED"}
    assert [one.code for one in done.outcomes[2:]] == ["FOREIGN_MAPPING", "FOREIGN_JURISDICTION"]
    assert done.loaded is None
    stale = bureau.status_list(issued=bureau.now - 2 * 86_400)
    assert [one.code for one in (await abroad.admit(good, lists=(stale,))).outcomes] == [
        "FOREIGN_STATUS_STALE"
    ]
    await refused(abroad.site, ask(abroad.site, reader), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")


async def test_a_status_that_turns_ends_it_and_its_reader_is_told(open_site, clock):
    site = await open_site(clock_ms=clock)
    abroad = Abroad(site, Issuer(now=int(time.time())))
    abroad.register()
    bureau, reader = abroad.bureau, bank(site)
    other = bureau.credential(bureau.claims(lei=OTHER_LEI, uen=None, index=8))
    await abroad.admit(bureau.credential(), other)
    assert len(await rows(site, reader)) == 1
    bureau.set(7, 1)
    done = await abroad.refresh(bureau.status_list(issued=bureau.now - 1))
    assert sorted(done.found.values()) == ["CONFIRMED", "WITHDRAWN"]
    assert await rows(site, reader) == []
    assert len(await rows(site, reader, subjects=[f"lei:{OTHER_LEI}"])) == 1
    # Whoever serves computes the recall of what another process published after half a minute.
    clock.ahead_s = 31
    async with asyncio.timeout(NOTICE_S), site.client(reader) as client:
        async for notice in client.watch(0):
            assert notice.product == FOREIGN_PRODUCT
            break


async def test_a_withdrawn_issuer_is_silent_for_the_very_next_call(abroad):
    site, reader = abroad.site, bank(abroad.site)
    await abroad.admit(abroad.bureau.credential())
    assert len(await rows(site, reader)) == 1
    site.desk.run(issuers.withdraw, BUREAU)
    await refused(site, ask(site, reader), "NO_FOREIGN_ISSUER", "PERMISSION_DENIED", rule="R52")
    # Registered anew, with another key: what the old key signed stays out for ever.
    await abroad.refresh()
    old = abroad.bureau.credential()
    abroad.bureau = Issuer(now=abroad.bureau.now, kid="k-2027")
    abroad.register(version=2)
    assert await rows(site, reader) == []
    assert [one.code for one in (await abroad.admit(old)).outcomes] == ["FOREIGN_SIGNATURE"]
    fresh = abroad.bureau.credential(abroad.bureau.claims(issued=abroad.bureau.now - 100))
    assert [one.code for one in (await abroad.admit(fresh)).outcomes] == [""]
    assert len(await rows(site, reader)) == 1


async def test_a_document_leaves_no_more_once_its_list_is_over(open_site, clock):
    site = await open_site(clock_ms=clock)
    abroad = Abroad(site, Issuer(now=int(time.time())))
    abroad.register()
    reader = bank(site)
    await abroad.admit(abroad.bureau.credential(), lists=(abroad.bureau.status_list(ttl=160),))
    assert len(await rows(site, reader)) == 1
    clock.ahead_s = 100
    assert await rows(site, reader) == []


async def test_of_two_issuers_one_withdrawn_the_other_s_records_stay(abroad):
    """Without any refresh: the decision itself withholds what the withdrawn one stated."""
    site, bureau, reader = abroad.site, abroad.bureau, bank(abroad.site)
    peer = Issuer(issuer="https://peer.example.my", now=bureau.now, kid="my-1")
    own = peer.description(kind="PARTNER", jurisdiction="MY", subjects_of=["MY"])
    abroad.bureau = peer
    abroad.register(**{name: own[name] for name in ("kind", "jurisdiction", "subjects_of")})
    stated = peer.claims(
        country="MY",
        lei=OTHER_LEI,
        uen=None,
        index=3,
        status={"status_list": {"idx": 3, "uri": f"{peer.issuer}/status/1"}},
    )
    lists = (bureau.status_list(), peer.status_list(uri=f"{peer.issuer}/status/1"))
    done = await abroad.admit(bureau.credential(), peer.credential(stated), lists=lists)
    assert [one.code for one in done.outcomes] == ["", ""]
    both = {"subjects": [f"lei:{LEI}", f"lei:{OTHER_LEI}"]}
    messages = await ask(site, reader, **both)
    assert Answer(messages).table().num_rows == 2
    named = [source.issuer for source in messages[0].decision.coverage.foreign]
    assert named == [BUREAU, peer.issuer]
    site.desk.run(issuers.withdraw, BUREAU)
    # No bureau is left behind the product, so nobody need name an end user any more.
    messages = await ask(site, reader, **both, end_user="")
    (row,) = Answer(messages).table().to_pylist()
    assert (row["issuer"], row["issuer_kind"]) == (peer.issuer, "PARTNER")
    assert [source.issuer for source in messages[0].decision.coverage.foreign] == [peer.issuer]
