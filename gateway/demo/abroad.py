"""What the partner's steps rest on: agreement, terms, tables, a mechanism, a consent, an issuer.

Each is signed or approved by whom the law names, on the same acts as the command line's.
"""

from dataclasses import replace
from typing import Any

from audit.journal import Transaction
from gateway.border import claims as border_claims
from gateway.border import statements
from gateway.border.counters_declared import DECLARATION_TYPE, DeclarationClaims, declare
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.law import lawful_border
from gateway.demo.cast import (
    BANK,
    CONSENTS,
    CROSSING_DEBTOR,
    CROSSING_GRADE,
    EXPORTER,
    FOREIGN_FIELDS,
    PARTNER,
)
from gateway.demo.scene import seconds
from gateway.demo.stage import (
    DAY_S,
    NODE,
    Stage,
    allow_across,
    copy_abroad,
    licence_claims,
    license_player,
)
from gateway.domain.border import Register as Border
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.recognition import Mode
from gateway.domain.vocabulary import Role, SubjectKind
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import new_document_key, read_document_key
from gateway.recognition import register as recognition
from gateway.recognition.claims import (
    AnyClaims,
    MappingClaims,
    RowClaims,
    ScaleClaims,
    TermsClaims,
    ground,
    register_of,
)
from gateway.registry import consents, document_keys, licences, parties
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import CONSENT_TYPE, LICENCE_TYPE, sign

_KIND, _PERSON = "subject_type", "NATURAL_PERSON"
GRADES, DEBTORS = "public_credit_grade", "judgement_debtor"
CONSENT, MECHANISM = "DEMO-CONSENT-1", "DEMO-SCC-1"
_EQUALS = {"A": "AA", "B": "BB", "C": "CC", "D": ""}
DECLARED = 9_998  # persons whom the exporter has sent about elsewhere this year


def open_border(stage: Stage, now: int) -> None:
    """Register and sign what the partner's steps rest on, and copy what may cross."""
    state, act = stage.deployment.open_state(), Act(now, NODE)
    border = _Border(stage, act)
    try:
        for job in (border.agree, border.recognise, border.ground_persons, border.license_bank):
            state.run(job)
        copy_abroad(stage.deployment, state, Catalogue.load(), act)
    finally:
        state.close()


class _Border:
    """The acts, each in one transaction."""

    def __init__(self, stage: Stage, act: Act) -> None:
        self._stage, self._act = stage, act
        self._key = read_document_key(stage.deployment.dev_authority / AUTHORITY_KEY)
        self._keys = stage.deployment.authority_keys().get

    def agree(self, tx: Transaction) -> None:
        """Renew the partner's agreement: more products, and who exports about persons."""
        for player in (EXPORTER, CONSENTS):
            wanted = parties.registration(player.party_id, player.name, player.role)
            parties.register(tx, wanted, self._act)
        license_player(self._stage.deployment, tx, EXPORTER, self._act)
        wider = replace(
            PARTNER, grants=(*PARTNER.grants, (GRADES, CROSSING_GRADE), (DEBTORS, CROSSING_DEBTOR))
        )
        claims = licence_claims(wider, self._act.now)
        agreement = claims.agreement.model_copy(update={"exporter": EXPORTER.party_id})
        kinds = (SubjectKind.LEGAL_ENTITY, SubjectKind.NATURAL_PERSON)
        renewed = claims.model_copy(
            update={"serial": 2, "agreement": agreement, "subject_kinds": kinds}
        )
        document = sign(renewed, self._key, LICENCE_TYPE)
        licences.activate(tx, document, self._act, authority_key=self._keys)

    def recognise(self, tx: Transaction) -> None:
        """Sign the terms and the mapping of grades; two roles approve the grade's whitelist."""
        allow_across(tx, GRADES, CROSSING_GRADE, "", self._act)
        known = ground(Catalogue.load().products, _role_of(tx))
        for claims in (self._terms(), self._mapping()):
            kind = register_of(claims)
            document = sign(claims, self._key, recognition.document_type(kind))
            recognition.enact(tx, document, kind, self._act, key_of=self._keys, known=known)

    def ground_persons(self, tx: Transaction) -> None:
        """Register mechanism, assessment, exporter and recipient, then whitelist and consent."""
        about = {"exporter": EXPORTER.party_id, "recipient": PARTNER.party_id}
        term = {"purposes": PARTNER.purposes, "not_after": self._act.now + 200 * DAY_S}
        stated: dict[Border, dict[str, Any]] = {
            Border.EXPORTER: {"party": EXPORTER.party_id, "ciio": False, "state_organ": False},
            Border.PARTNER: {"party": PARTNER.party_id, "judicial": False, "country": "SG"},
            Border.ASSESSMENT: about | term | {"assessment_id": "DEMO-PIA-1"},
            Border.MECHANISM: about
            | term
            | {"number": MECHANISM, "kind": "SCC", "fields": CROSSING_DEBTOR},
        }
        exporter_key = new_document_key()
        document_keys.register(tx, EXPORTER.party_id, exporter_key.public_key(), self._act)
        for register, claims in stated.items():
            key = exporter_key if register is Border.ASSESSMENT else self._key
            self._state(tx, register, claims, key)
        allow_across(tx, DEBTORS, CROSSING_DEBTOR, MECHANISM, self._act)
        self._consent(tx)
        declaration = DeclarationClaims(
            exporter=EXPORTER.party_id,
            year=export_year(self._act.now),
            kind=CountClass.SENSITIVE.value,
            version=1,
            persons=DECLARED,
            as_of=self._act.now,
        )
        signed = sign(declaration, exporter_key, DECLARATION_TYPE)
        declare(tx, signed, self._act, CountLaw.load())

    def license_bank(self, tx: Transaction) -> None:
        """License the bank for what issuers abroad state about foreign firms."""
        reader = replace(
            BANK,
            key="bank-abroad",
            grants=((FOREIGN_PRODUCT, FOREIGN_FIELDS),),
            pseudonymous=frozenset(),
        )
        license_player(self._stage.deployment, tx, reader, self._act)

    def _state(self, tx: Transaction, register: Border, stated: dict[str, Any], key: Any) -> None:
        basis = {"basis": "its own declaration"} if "party" in stated else {}
        whole = {"version": 1, "not_before": self._act.now - 60} | basis | stated
        document = sign(
            border_claims.content(register, **whole), key, border_claims.document_type(register)
        )
        statements.register_signed(
            tx, register, document, self._act, lawful_border(), authority_key=self._keys
        )

    def _consent(self, tx: Transaction) -> None:
        key = new_document_key()
        document_keys.register(tx, CONSENTS.party_id, key.public_key(), self._act)
        claims = consents.ConsentClaims(
            v=1,
            consent_id=CONSENT,
            subjects=persons(self._stage),
            grantor="示例授权人",
            processor=EXPORTER.name,
            recipient=PARTNER.party_id,
            recipient_name=PARTNER.name,
            recipient_contact="privacy@bureau.example.sg",
            purpose_codes=PARTNER.purposes,
            data_kinds=(DEBTORS,),
            mode="SEPARATE",
            cross_border=consents.CrossBorderClaims(
                exporter=EXPORTER.party_id,
                recipient_name=PARTNER.name,
                contact="privacy@bureau.example.sg",
                purpose="trade finance",
                method="query",
                kinds=("court records",),
                rights_channel="the desk of the exporter",
            ),
            given_at=self._act.now - 60,
            expires_at=self._act.now + 100 * DAY_S,
            evidence_hash="0" * 64,
            text_version="v1",
        )
        sealing = self._stage.deployment.secrets().consents
        consents.register(tx, sign(claims, key, CONSENT_TYPE), self._act, sealing)

    def _terms(self) -> AnyClaims:
        return TermsClaims(
            partner=PARTNER.party_id,
            version=1,
            agreement_id="AGREEMENT-PARTNER",
            modes=(Mode.CREDENTIAL, Mode.GRADE_MAP, Mode.RECORDS),
            purposes=PARTNER.purposes,
            jurisdictions=("SG",),
            end_uses=(PARTNER.scenario,),
            onward_zh="不得向第三方转供。",
            onward_en="No onward supply to third parties.",
            dispute_contact="disputes@xinguan.example",
            not_before=self._act.now - 60,
            not_after=self._act.now + 200 * DAY_S,
        )

    def _mapping(self) -> AnyClaims:
        return MappingClaims(
            mapping_id="HN-SG-1",
            version=1,
            partner=PARTNER.party_id,
            product=GRADES,
            field="grade",
            source=ScaleClaims(name="Hainan public credit grade", grades=tuple(_EQUALS)),
            target=ScaleClaims(name="Example Bureau scale", grades=("AA", "BB", "CC")),
            rows=tuple(RowClaims(grade=one, equals=other) for one, other in _EQUALS.items()),
            not_before=self._act.now - 60,
        )


def persons(stage: Stage) -> tuple[str, ...]:
    """Return the tokens of two persons about whom the courts published something."""
    snapshot = stage.loaded[DEBTORS].snapshot
    rows = snapshot.batch_rows(0)
    shown = snapshot.take(rows[snapshot.shareable(rows, seconds())], ["subject_code", _KIND])
    tokens = [row["subject_code"] for row in shown.to_pylist() if row[_KIND] == _PERSON]
    return tuple(dict.fromkeys(tokens))[:2]


def _role_of(tx: Transaction) -> Any:
    def role_of(party: str) -> Role | None:
        return parties.find(tx, party).role

    return role_of
