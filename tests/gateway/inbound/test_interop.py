"""Two gateways: what the issuing room of one makes, the desk of another believes, and no longer."""

import time

import pytest

from gateway.credential.jws import Signer, to_jwk
from gateway.credential.mint import Head, mint
from gateway.credential.status_list import CredentialStatus, StatusBits, Times, list_token
from gateway.identity.keyfiles import new_document_key, new_tls_key
from gateway.inbound.checking import Checker
from gateway.inbound.status import Standing
from gateway.registry.issuers import Registration
from tests.gateway.inbound.abroad import LEI, SCALE, Issuer, Lists

PEER = "https://credit.example.my"
LIST, KIND = f"{PEER}/status/1", f"{PEER}/vct/enterprise"
FIELDS = {"country": "MY", "name": "Synthetic Sdn Bhd", "lei": LEI, "grade": "A1", "scale": SCALE}


@pytest.mark.parametrize("make_key", [new_tls_key, new_document_key], ids=["ES256", "EdDSA"])
def test_a_peer_s_credential_is_believed_until_it_is_superseded(make_key):
    signer, now = Signer.of(make_key()), int(time.time())
    head = Head(
        issuer=PEER,
        credential_id="01" * 16,
        kind=KIND,
        integrity="sha256-x",
        issued_at=now - 10,
        expires_at=now + 600,
        list_uri=LIST,
        place=77,
        release={"policy": "p"},
    )
    document = mint(signer, head, FIELDS, decoys=3)
    statement = {
        "vct": KIND,
        "form": "SD_JWT",
        "fields": {
            "jurisdiction": "country",
            "name": "name",
            "grade_original": "grade",
            "grade_scale": "scale",
        },
        "identifiers": {"LEI": "lei"},
        "unread": ["release"],
    }
    public = to_jwk(signer.key.public_key())
    claims = Issuer(issuer=PEER, now=now).registration(
        jurisdiction="MY",
        keys=[{**public, "kid": signer.kid}],
        statements=[statement],
    )
    registration = Registration(claims, "console", approved_index=1, index=0)
    bits, times = StatusBits(131_072), Times(now, 300, 900)
    for status, standing in (
        (CredentialStatus.VALID, Standing.VALID),
        (CredentialStatus.REFRESH, Standing.REFRESH),
        (CredentialStatus.INVALID, Standing.INVALID),
    ):
        bits.put([(77, int(status))])
        lists = Lists(list_token(signer, LIST, bits, times))
        checker = Checker({PEER: registration}.get, lists)
        found = checker.document(document, now)
        assert found.mapped.subject == f"lei:{LEI}"
        assert found.mapped.row["grade"] == "A"
        assert checker.status(found, now).standing is standing
