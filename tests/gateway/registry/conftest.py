"""A registry in miniature: a state database, an authority, and organisations in their roles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.journal import Transaction
from gateway.domain.party import Party
from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import new_document_key, new_tls_key
from gateway.registry import document_keys, parties
from gateway.registry.act import Act
from gateway.registry.consents import ConsentClaims, ConsentKeys
from gateway.registry.documents import CONSENT_TYPE, LICENCE_TYPE, key_id, parse_claims, sign
from gateway.registry.licences import LicenceClaims
from gateway.registry.registry import Registry
from gateway.store.state import State
from tests.simulator import NOW, uscc
from tests.stores import Place

T = TypeVar("T")
DAY_S = 86_400


@dataclass
class World:
    """Everything that the registry's tests act on."""

    place: Place
    state: State
    registry: Registry
    act: Act = field(default_factory=lambda: Act(NOW, "node-1"))
    authority: Ed25519PrivateKey = field(default_factory=new_document_key)
    keys: ConsentKeys = field(default_factory=lambda: ConsentKeys(b"l" * 32, b"s" * 32))
    ca: CertificateAuthority = field(
        default_factory=lambda: CertificateAuthority.create(new_tls_key(), "test", NOW)
    )

    def run(self, job: Callable[[Transaction], T]) -> T:
        return self.state.run(job)

    def entries(self) -> list[dict[str, Any]]:
        import json

        connection = self.state.connect()
        rows = connection.execute("SELECT body FROM audit_entry ORDER BY position").fetchall()
        connection.close()
        return [json.loads(row[0]) for row in rows]

    def stored(self) -> bytes:
        """Return every value of every table as text, as whoever holds the database sees it."""
        connection = self.state.connect()
        tables = {
            "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table'",
            "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
        }[self.place.kind]
        found = []
        # Past the port, whose dialect knows the catalogue of neither.
        names = getattr(connection, "_connection", connection).execute(tables).fetchall()
        for (name,) in names:
            for row in connection.execute(f"SELECT * FROM {name}").fetchall():
                found += [v if isinstance(v, bytes) else str(v).encode() for v in row]
        connection.close()
        return b"\n".join(found)

    def party(self, number: int, role: str = "AGENCY", party_id: str = "") -> Party:
        wanted = parties.registration(party_id or f"uscc:{uscc(number)}", f"机构{number}", role)
        return self.run(lambda tx: parties.register(tx, wanted, self.act))

    def document_key(self, party: Party) -> Ed25519PrivateKey:
        key = new_document_key()
        public = key.public_key()
        self.run(lambda tx: document_keys.register(tx, party.party_id, public, self.act))
        return key

    def authority_key(self, identity: str) -> Any:
        public = self.authority.public_key()
        return public if identity == key_id(public) else None

    def licence_claims(self, party: Party, **words: Any) -> LicenceClaims:
        stated = {
            "v": 1,
            "licence_id": "L-1",
            "serial": 1,
            "party_id": party.party_id,
            "kind": "ENTERPRISE_CREDIT_FILING",
            "agreement": {"agreement_id": "A-1", "not_before": 0, "not_after": NOW + 300 * DAY_S},
            "grants": {"legal_entity_base": {"fields": ["uscc", "name"]}},
            "purposes": ["CREDIT_REPORT"],
            "scenarios": ["ENTERPRISE_REPORT"],
            "subject_kinds": ["LEGAL_ENTITY"],
            "not_before": NOW - DAY_S,
            "not_after": NOW + 200 * DAY_S,
        }
        return parse_claims(to_json(stated | words), LicenceClaims)

    def licence_document(self, party: Party, **words: Any) -> str:
        return sign(self.licence_claims(party, **words), self.authority, LICENCE_TYPE)

    def consent_document(self, key: Ed25519PrivateKey, recipient: Party, **words: Any) -> str:
        stated = {
            "v": 1,
            "consent_id": "C-1",
            "subjects": [uscc(900), "person-token-0001"],
            "grantor": "示例主体",
            "processor": "示例平台",
            "recipient": recipient.party_id,
            "recipient_name": "示例银行",
            "recipient_contact": "desk 1",
            "purpose_codes": ["CREDIT_REPORT"],
            "data_kinds": ["legal_entity_base"],
            "mode": "SEPARATE",
            "given_at": NOW - DAY_S,
            "expires_at": NOW + DAY_S,
            "evidence_hash": "ab" * 32,
            "text_version": "v1",
        }
        return sign(parse_claims(to_json(stated | words), ConsentClaims), key, CONSENT_TYPE)


def to_json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


@pytest.fixture
def world(place: Place) -> Iterator[World]:
    """The miniature on each kind of database in turn."""
    state = place.state()
    registry = Registry(state)
    yield World(place, state, registry)
    registry.close()
    state.close()
