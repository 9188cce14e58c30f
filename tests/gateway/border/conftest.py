"""The registers of the border on each kind of database: the registry's miniature, and parties."""

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.border import statements
from gateway.border.claims import APPROVAL_TYPE, BorderClaims, content, document_type
from gateway.border.kept import Kept
from gateway.border.law import lawful_border
from gateway.domain.border import Register
from gateway.domain.party import Party
from gateway.registry.act import Act
from gateway.registry.documents import sign
from tests.gateway.registry.conftest import World, world  # noqa: F401 - the fixture
from tests.simulator import NOW

DAY_S = 86_400
LAW = lawful_border()
PARTNER = "reg:SG:201912345K"


@dataclass
class Border:
    """The registers, an exporter and a partner."""

    world: World
    exporter: Party
    partner: Party
    exporter_key: Ed25519PrivateKey

    def claims(self, register: Register, **words: Any) -> BorderClaims:
        both = {
            "version": 1,
            "exporter": self.exporter.party_id,
            "recipient": self.partner.party_id,
            "not_before": NOW - DAY_S,
            "not_after": NOW + 200 * DAY_S,
            "purposes": ["TRADE"],
        }
        one = {"version": 1, "not_before": NOW - DAY_S, "basis": "notice 1"}
        stated: dict[Register, dict[str, Any]] = {
            Register.MECHANISM: both
            | {"number": "SCC-1", "kind": "SCC", "fields": ["name", "uscc"]},
            Register.ASSESSMENT: both | {"assessment_id": "PIA-1"},
            Register.RESTRICTED: one | {"party": self.partner.party_id, "listed": True},
            Register.PARTNER: one
            | {"party": self.partner.party_id, "judicial": False, "country": "SG"},
            Register.EXPORTER: one
            | {"party": self.exporter.party_id, "ciio": False, "state_organ": False},
            Register.EXEMPTION: both
            | {
                "exemption_id": "EX-1",
                "products": ["judgement_debtor"],
                "basis": "ART5_CONTRACT",
                "grounds": "a contract of the person's own",
            },
            Register.IMPORTANT: one
            | {"product": "legal_entity_base", "fields": ["name"], "notified": True},
        }
        return content(register, **(stated[register] | words))

    def signed(self, register: Register, key: Any = None, **words: Any) -> Kept:
        claims = self.claims(register, **words)
        document = sign(claims, key or self.world.authority, document_type(register))
        return self.hand_in(register, document)

    def hand_in(self, register: Register, document: str, act: Act | None = None) -> Kept:
        return self.world.run(
            lambda tx: statements.register_signed(
                tx,
                register,
                document,
                act or self.world.act,
                LAW,
                authority_key=self.world.authority_key,
            )
        )

    def proposed(self, register: Register, act: Act | None = None, **words: Any) -> Kept:
        claims = self.claims(register, **words)
        return self.world.run(lambda tx: statements.propose(tx, claims, act or self.world.act, LAW))

    def approved(self, register: Register, approver: Party, **words: Any) -> Kept:
        claims = self.claims(register, **words)
        return self.world.run(lambda tx: statements.approve(tx, claims, approver, self.world.act))

    def approved_with(self, register: Register, key: Any, **words: Any) -> Kept:
        document = sign(self.claims(register, **words), key, APPROVAL_TYPE)
        return self.world.run(
            lambda tx: statements.approve_signed(tx, register, document, self.world.act)
        )

    def change(self, change: Any, register: Register, name: str, act: Act | None = None) -> Kept:
        return self.world.run(lambda tx: change(tx, register, name, act or self.world.act))

    def standing(self, register: Register, about: str, at: int = NOW) -> list[Any]:
        registers = self.world.registry.view().border
        return [s.content for s in registers.standing(register, about, at).statements]


@pytest.fixture
def border(world: World) -> Border:  # noqa: F811 - the fixture of that name
    exporter = world.party(1)
    partner = world.party(0, "CROSS_BORDER_PARTNER", PARTNER)
    return Border(world, exporter, partner, world.document_key(exporter))
