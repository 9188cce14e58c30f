"""Issuers abroad, as foreign software makes their documents: `sd-jwt` and joserfc, not ours.

Everything is synthetic: the bureau, its firms, and their numbers (which pass their check digits).
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer

from gateway.registry.issuer_claims import IssuerClaims, read_issuer

NOW = 1_795_000_000
DAY = 86_400
BUREAU, VCT = "https://bureau.example.sg", "https://bureau.example.sg/vct/credit/1"
REPORT = "https://bureau.example.sg/vct/report/1"
STATUS_URI = "https://bureau.example.sg/status/1"
LEI, UEN = "46009900SYNTHETIC053", "202600000K"
OTHER_LEI = "46009900SYNTHETIC150"
SCALE = "SGB-2026"
FIELDS = {
    "jurisdiction": "country",
    "name": "legal_name",
    "registered_on": "incorporated",
    "reg_status": "status_text",
    "grade_original": "rating",
    "grade_scale": "rating_scale",
    "payment_performance": "payment",
    "report_no": "report_number",
}
IDENTIFIERS = {"LEI": "lei", "SG:UEN": "uen"}
FIRM = {
    "country": "SG",
    "legal_name": "Example Shipping Pte Ltd (synthetic)",
    "incorporated": "2019-03-04",
    "status_text": "Live",
    "rating": "B1",
    "rating_scale": SCALE,
    "payment": "prompt",
    "lei": LEI,
    "uen": UEN,
}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_key(kid: str, algorithm: str = "ES256") -> JWK:
    if algorithm == "ES256":
        return JWK.generate(kty="EC", crv="P-256", kid=kid)
    return JWK.generate(kty="OKP", crv="Ed25519", kid=kid)


class _Registry(jws.JWSRegistry):
    max_payload_length = 16 << 20


def signed(payload: Mapping[str, Any], key: JWK, typ: str, **header: Any) -> str:
    """Return a compact JWS that joserfc made."""
    jwk = json.loads(key.export_private())
    algorithm = header.pop("alg", "ES256" if jwk["kty"] == "EC" else "Ed25519")
    joined = {"alg": algorithm, "kid": jwk["kid"], "typ": typ} | header
    made: ECKey | OKPKey = (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(jwk)
    registry = _Registry(algorithms=["ES256", "Ed25519"], strict_check_header=False)
    return jws.serialize_compact(joined, json.dumps(payload).encode(), made, registry=registry)


@dataclass
class Issuer:
    """One issuer abroad with its key and its status list."""

    issuer: str = BUREAU
    algorithm: str = "ES256"
    kid: str = "k-2026"
    bits: int = 2
    now: int = NOW
    entries: bytearray = field(default_factory=lambda: bytearray(32_768))
    key: JWK = field(init=False)

    def __post_init__(self) -> None:
        self.key = new_key(self.kid, self.algorithm)

    def set(self, index: int, value: int) -> None:
        """Set what the status list says of an entry."""
        per_byte = 8 // self.bits
        shift = index % per_byte * self.bits
        mask = ((1 << self.bits) - 1) << shift
        place = index // per_byte
        self.entries[place] = self.entries[place] & ~mask & 0xFF | value << shift

    def public(self) -> dict[str, str]:
        return json.loads(self.key.export_public())

    def description(self, **changes: Any) -> dict[str, Any]:
        """Return a registration as the operator writes it."""
        said = {
            "issuer": self.issuer,
            "version": 1,
            "name": "Example Credit Bureau (synthetic)",
            "kind": "BUREAU",
            "jurisdiction": "SG",
            "subjects_of": ["SG", "MY"],
            "keys": [self.public()],
            "statements": [
                {"vct": VCT, "form": "SD_JWT", "fields": FIELDS, "identifiers": IDENTIFIERS},
                {"vct": REPORT, "form": "JWS", "fields": FIELDS, "identifiers": IDENTIFIERS},
            ],
            "grade_tables": [
                {
                    "table": "SG-HN",
                    "version": 3,
                    "scale": SCALE,
                    "grades": {"A1": "A", "B1": "B", "C1": "C"},
                }
            ],
            "status_prefixes": [f"{self.issuer}/status/"],
            "agreement": {
                "agreement_id": "MR-SG-2026",
                "not_before": self.now - 90 * DAY,
                "not_after": self.now + 900 * DAY,
                "onward_use": "NO_ONWARD_USE",
                "onward_zh": "仅供请求机构自用，不得向第三方提供。",
                "onward_en": "For the requesting institution alone; no supply to third parties.",
            },
            "not_before": self.now - 60 * DAY,
        }
        return said | changes

    def registration(self, **changes: Any) -> IssuerClaims:
        return read_issuer(json.dumps(self.description(**changes)).encode())

    def claims(
        self, *, issued: int | None = None, index: int = 7, **changes: Any
    ) -> dict[str, Any]:
        """Return the claims of a document; a value of None leaves the claim out."""
        issued = self.now - 600 if issued is None else issued
        made = {
            "iss": self.issuer,
            "vct": VCT,
            "iat": issued,
            "exp": issued + 30 * DAY,
            "status": {"status_list": {"idx": index, "uri": STATUS_URI}},
            **FIRM,
        } | changes
        return {name: value for name, value in made.items() if value is not None}

    def credential(
        self,
        claims: Mapping[str, Any] | None = None,
        *,
        hidden: tuple[str, ...] = ("lei", "uen", "rating", "rating_scale", "payment"),
        withheld: tuple[str, ...] = (),
        holder: JWK | None = None,
        binding: tuple[str, str] | None = None,
        key: JWK | None = None,
        decoys: bool = False,
        **header: Any,
    ) -> str:
        """Return an SD-JWT VC as the `sd-jwt` library issues and presents it."""
        said = dict(self.claims() if claims is None else claims)
        made = {SDObj(name) if name in hidden else name: value for name, value in said.items()}
        signer = key or self.key
        issued = SDJWTIssuer(
            made,
            signer,
            holder_key=holder,
            sign_alg="ES256" if signer["kty"] == "EC" else "EdDSA",
            add_decoy_claims=decoys,
            extra_header_parameters={"typ": "dc+sd-jwt", "kid": self.kid} | header,
        )
        presented = SDJWTHolder(issued.sd_jwt_issuance)
        nonce, audience = (binding[1], binding[0]) if binding else (None, None)
        presented.create_presentation(
            {name: True for name in said if name in hidden and name not in withheld},
            nonce,
            audience,
            holder if binding else None,
            sign_alg="ES256",
        )
        return str(presented.sd_jwt_presentation)

    def report(self, claims: Mapping[str, Any] | None = None, **header: Any) -> str:
        """Return a signed report."""
        said = self.claims(vct=REPORT) if claims is None else claims
        return signed(said, self.key, header.pop("typ", "credit-report+jwt"), **header)

    def status_list(
        self,
        *,
        issued: int | None = None,
        uri: str = STATUS_URI,
        key: JWK | None = None,
        **more: Any,
    ) -> str:
        """Return the status list as it stands now."""
        issued = self.now - 60 if issued is None else issued
        packed = b64(zlib.compress(bytes(self.entries)))
        said = {
            "sub": uri,
            "iat": issued,
            "ttl": 43_200,
            "status_list": {"bits": self.bits, "lst": packed},
        } | more
        said = {name: value for name, value in said.items() if value is not None}
        return signed(said, key or self.key, "statuslist+jwt", **({"kid": self.kid} if key else {}))


class Lists:
    """Status lists by address, for a checker."""

    def __init__(self, *tokens: str, fetch: Callable[[str], str | None] | None = None) -> None:
        from gateway.inbound.given_lists import GivenLists

        self._given = GivenLists(tokens, fetch)

    def token(self, uri: str) -> str | None:
        return self._given.token(uri)
