"""A synthetic credit bureau abroad: its registration, a credential about a firm, a status list.

    python foreign_bureau.py FOLDER            make keys and documents
    python foreign_bureau.py FOLDER --end      sign the status list anew, the credential ended

It shows what a partner needs to take part: a key, an SD-JWT VC (RFC 9901) and a token status list.
Everything in it is invented.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
import zlib
from pathlib import Path

from joserfc import jws
from joserfc.jwk import ECKey

BUREAU = "https://bureau.example.sg"
STATUS = f"{BUREAU}/status/1"
ENTRY, ENTRIES = 4_711, 131_072
DAY_S = 86_400
FIRM = {
    "country": "SG",
    "legal_name": "Example Shipping Pte Ltd (synthetic)",
    "rating": "B1",
    "rating_scale": "SGB-2026",
    "lei": "46009900SYNTHETIC053",
}


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(claims: dict[str, object], key: ECKey, typ: str) -> str:
    """Return a compact JWS."""
    header = {"alg": "ES256", "kid": "key-1", "typ": typ}
    return jws.serialize_compact(header, json.dumps(claims).encode(), key)


def credential(key: ECKey, now: int) -> str:
    """Return an SD-JWT VC in which each claim about the firm can be withheld."""
    disclosures = [
        b64(json.dumps([b64(secrets.token_bytes(16)), name, value]).encode())
        for name, value in FIRM.items()
    ]
    digests = [b64(hashlib.sha256(text.encode()).digest()) for text in disclosures]
    claims: dict[str, object] = {
        "iss": BUREAU,
        "vct": f"{BUREAU}/vct/credit/1",
        "iat": now,
        "exp": now + 30 * DAY_S,
        "status": {"status_list": {"idx": ENTRY, "uri": STATUS}},
        "_sd_alg": "sha-256",
        "_sd": sorted(digests),
    }
    return "~".join([sign(claims, key, "dc+sd-jwt"), *disclosures, ""])


def status_list(key: ECKey, now: int, *, ended: bool) -> str:
    """Return the status list: one bit for each credential, the least significant first."""
    entries = bytearray(ENTRIES // 8)
    if ended:
        entries[ENTRY // 8] |= 1 << ENTRY % 8
    claims: dict[str, object] = {
        "sub": STATUS,
        "iat": now,
        "ttl": DAY_S // 2,
        "status_list": {"bits": 1, "lst": b64(zlib.compress(bytes(entries)))},
    }
    return sign(claims, key, "statuslist+jwt")


def registration(key: ECKey, now: int) -> dict[str, object]:
    """Return what the operator registers of the bureau, under the agreement with it."""
    return {
        "issuer": BUREAU,
        "version": 1,
        "name": "Example Credit Bureau (synthetic)",
        "kind": "BUREAU",
        "jurisdiction": "SG",
        "subjects_of": ["SG"],
        "keys": [{**key.as_dict(private=False), "kid": "key-1"}],
        "statements": [
            {
                "vct": f"{BUREAU}/vct/credit/1",
                "form": "SD_JWT",
                "fields": {
                    "jurisdiction": "country",
                    "name": "legal_name",
                    "grade_original": "rating",
                    "grade_scale": "rating_scale",
                },
                "identifiers": {"LEI": "lei", "SG:UEN": "uen"},
            }
        ],
        "grade_tables": [
            {
                "table": "SG-HN",
                "version": 1,
                "scale": "SGB-2026",
                "grades": {"A1": "A", "B1": "B", "C1": "C"},
            }
        ],
        "status_prefixes": [f"{BUREAU}/status/"],
        "agreement": {
            "agreement_id": "MR-SG-2026",
            "not_before": now - DAY_S,
            "not_after": now + 365 * DAY_S,
            "onward_use": "NO_ONWARD_USE",
            "onward_zh": "仅供请求机构自用，不得向第三方提供。",
            "onward_en": "For the requesting institution alone; no supply to third parties.",
        },
        "not_before": now - DAY_S,
    }


def main(folder: Path, *, ended: bool) -> None:
    """Make what is missing in the folder, and sign the status list."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, now = folder / "key.json", int(time.time())
    if kept.exists():
        key = ECKey.import_key(json.loads(kept.read_text("utf-8")))
    else:
        key = ECKey.generate_key("P-256", private=True)
        kept.touch(0o600)
        kept.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
        described = json.dumps(registration(key, now), ensure_ascii=False, indent=2)
        (folder / "bureau.json").write_text(described, encoding="utf-8")
        (folder / "credential.sdjwt").write_text(credential(key, now), encoding="ascii")
    (folder / "status.jwt").write_text(status_list(key, now, ended=ended), encoding="ascii")
    print("made", ", ".join(sorted(path.name for path in folder.iterdir())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), ended="--end" in sys.argv[2:])
