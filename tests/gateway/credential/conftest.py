"""Issuers without a gateway: keys, credentials and lists made in memory."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.credential.jws import EDDSA, ES256, Signer, to_jwk
from gateway.credential.metadata import issuer_document, list_url, type_document, type_url
from gateway.credential.mint import Head, mint
from gateway.credential.status_list import StatusBits, Times, list_token
from gateway.credential.verify import Checks, Trust
from gateway.identity.keyfiles import new_document_key, new_tls_key
from gateway.registry.catalogue import Catalogue

ISSUER = "https://credentials.example.org"
ENTRIES = 131_072
PRODUCT = Catalogue.load().product("legal_entity_base")
FIELDS = {
    "uscc": "91460099090001005X", "name": "示例征信有限公司", "registered_capital": "1000.50",
    "employees": 42, "dispute_flag": False, "lei": None, "tags": ["a", "b"],
}  # fmt: skip


@dataclass
class World:
    """One issuer with one list, and a clock that stands."""

    signer: Signer
    now: int = field(default_factory=lambda: int(time.time()))
    bits: StatusBits = field(default_factory=lambda: StatusBits(ENTRIES))

    @property
    def metadata(self) -> bytes:
        public = to_jwk(self.signer.key.public_key())
        key = {**public, "kid": self.signer.kid, "alg": self.signer.algorithm, "use": "sig"}
        return issuer_document(ISSUER, [key])

    @property
    def trust(self) -> Trust:
        return Trust.of(self.metadata)

    @property
    def product(self):
        return PRODUCT

    @property
    def type_metadata(self) -> bytes:
        return type_document(ISSUER, self.product)

    def credential(self, fields: dict[str, Any] | None = None, **words: Any) -> str:
        decoys, salts = words.pop("decoys", 0), words.pop("salts", {})
        head = {
            "issuer": ISSUER,
            "credential_id": "00" * 16,
            "kind": type_url(ISSUER, self.product),
            "integrity": "sha256-x",
            "issued_at": self.now - 10,
            "expires_at": self.now + 600,
            "list_uri": list_url(ISSUER, 1),
            "place": 77,
            "release": {"log": "test"},
        }
        head |= words
        return mint(
            self.signer, Head(**head), FIELDS if fields is None else fields, decoys=decoys, **salts
        )

    def list(self, **words: Any) -> str:
        times = {"at": self.now, "ttl_s": 300, "lifetime_s": 3600} | words
        return list_token(self.signer, list_url(ISSUER, 1), self.bits, Times(**times))

    def checks(self, **words: Any) -> Checks:
        return Checks(**({"at": self.now, "status_list": self.list()} | words))


@pytest.fixture(params=[ES256, EDDSA])
def world(request) -> World:
    key = new_tls_key() if request.param == ES256 else new_document_key()
    return World(Signer.of(key))
