"""A partner across the border asks first what it would get, and then for it.

    python examples/partner_query.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --subject 91460099MA1KB25D0C --destination SG

Nothing outside the approved whitelist crosses; amounts cross as bands. With --decryption-key the
records come encrypted to the partner's registered key, and are opened here. About a person, with
--person and the --consent that names this partner, it asks the same way.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from xinguan.client import Answer, DecryptionKey, Identity, RefusedError, SyncClient

FIELDS = (
    "uscc",
    "name",
    "reg_status",
    "established_on",
    "registered_capital",
    "legal_rep_name",
    "contact_phone",
)


def main() -> int:
    """Explain, query, and print both side by side."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    key = DecryptionKey(words.decryption_key.read_text()) if words.decryption_key else None
    fields = words.field or FIELDS
    asked: dict[str, Any] = {
        "subjects": words.subject,
        "subject_kind": "NATURAL_PERSON" if words.person else "LEGAL_ENTITY",
        "consent_id": words.consent,
        "purpose": words.purpose,
        "scenario": "MUTUAL_RECOGNITION",
        "destination": words.destination,
        "operator": "analyst-1",
        "case_reference": "trade-2026-9",
        "end_user": words.end_user,
    }
    with SyncClient(words.target, identity, decryption_key=key) as gateway:
        explained = gateway.explain(words.product, fields, **asked)
        print(f"would be {'answered' if explained.allow else 'refused'}")
        for reason in explained.reasons:
            about = f" ({', '.join(reason.fields)})" if reason.fields else ""
            print(f"  {reason.rule} {reason.code}{about}: {reason.clause_en}")
        try:
            answer = gateway.query(words.product, fields, sealed=key is not None, **asked)
        except RefusedError as refusal:
            print(f"refused: {refusal.code} (denial entry {refusal.refusal.denial_index})")
            for reason in refusal.reasons:
                print(f"  remedy for {reason.code}: {reason.remedy_en}")
            return 1
    if key is not None:
        print("it came encrypted, and was opened here")
    _print(answer, fields)
    if words.out:
        _keep(answer, words.out)
    return 0


def _print(answer: Answer, fields: tuple[str, ...]) -> None:
    actions = {field.name: field.action for field in answer.decision.fields}
    for row in answer.rows() or [{}]:
        for name in fields:
            value = row.get(name, "(does not cross)") if row else "(no record)"
            print(f"{name:<20} {actions.get(name, 'drop'):<10} {value}")
    print(f"request {answer.decision.request_id}, intent entry {answer.decision.intent.index}")


def _keep(answer: Answer, path: Path) -> None:
    """Keep the answer as it came: its mark, and its records in the order of their fields."""
    kept = {"mark": answer.mark, "rows": answer.rows()}
    path.write_text(json.dumps(kept, default=str, ensure_ascii=False, indent=1), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--subject", required=True, action="append", help="a code; repeatable")
    parser.add_argument("--product", default="legal_entity_base")
    parser.add_argument("--field", action="append", help="a field; repeatable")
    parser.add_argument("--purpose", default="TRADE", help="purpose code of the agreement")
    parser.add_argument("--destination", default="SG", help="ISO 3166 code")
    parser.add_argument("--person", action="store_true", help="the subject is a person")
    parser.add_argument("--consent", default="", help="the person's consent, when it is one")
    parser.add_argument("--end-user", default="", help="for whom a bureau asks")
    parser.add_argument("--decryption-key", type=Path, help="private JWK: ask for it encrypted")
    parser.add_argument("--out", type=Path, help="where to keep the answer, JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
