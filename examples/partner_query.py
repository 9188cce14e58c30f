"""A partner across the border asks first what it would get, and then for it.

    python examples/partner_query.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --subject 91460099MA1KB25D0C --destination SG

Nothing outside the approved whitelist crosses; amounts cross as bands.
"""

import argparse
import sys
from pathlib import Path

from xinguan.client import Identity, RefusedError, SyncClient

FIELDS = (
    "uscc",
    "name",
    "reg_status",
    "established_on",
    "registered_capital",
    "legal_rep_name",
    "contact_phone",
)
PRODUCT = "legal_entity_base"


def main() -> int:
    """Explain, query, and print both side by side."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    with SyncClient(words.target, identity) as gateway:
        asked = {
            "subjects": [words.subject],
            "purpose": "TRADE",
            "scenario": "MUTUAL_RECOGNITION",
            "destination": words.destination,
            "operator": "analyst-1",
            "case_reference": "trade-2026-9",
        }
        explained = gateway.explain(PRODUCT, FIELDS, **asked)
        print(f"would be {'answered' if explained.allow else 'refused'}")
        for reason in explained.reasons:
            print(f"  {reason.code} {', '.join(reason.fields)}: {reason.clause_en}")
        try:
            answer = gateway.query(PRODUCT, FIELDS, **asked)
        except RefusedError as refusal:
            print(f"refused: {refusal.code}: {refusal.message}")
            return 1
    actions = {field.name: field.action for field in answer.decision.fields}
    rows = answer.rows()
    for name in FIELDS:
        value = rows[0].get(name, "(does not cross)") if rows else "(no record)"
        print(f"{name:<20} {actions.get(name, 'drop'):<10} {value}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--subject", required=True, help="unified social credit code")
    parser.add_argument("--destination", default="SG", help="ISO 3166 code")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
