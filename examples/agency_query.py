"""An agency asks about one company: the answer field by field, its receipt, or the refusal.

    python examples/agency_query.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --subject 91460099MA1KB25D0C --receipt receipts

Ends with 0 after an answer and with 1 after a refusal.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from xinguan.client import Answer, Client, Identity, RefusedError

FIELDS = ("uscc", "name", "reg_status", "established_on", "registered_capital", "contact_phone")


async def main() -> int:
    """Ask, print what came, and keep the receipt when a folder is named."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    async with Client(words.target, identity) as gateway:
        try:
            answer = await gateway.query(
                words.product,
                words.field or FIELDS,
                subjects=words.subject,
                purpose=words.purpose,
                scenario=words.scenario,
                operator=words.operator,
                case_reference=words.case,
                end_user=words.end_user,
            )
        except RefusedError as refusal:
            _print_refusal(refusal)
            return 1
        _print_answer(answer)
        if words.receipt:
            receipt = await gateway.receipt(answer.decision.request_id, wait_ms=10_000)
            words.receipt.mkdir(parents=True, exist_ok=True)
            (words.receipt / "receipt.tlog-proof").write_bytes(receipt.proof)
            (words.receipt / "receipt.json").write_bytes(receipt.entry)
            print(f"receipt of entry {answer.decision.intent.index} kept")
    return 0


def _print_answer(answer: Answer) -> None:
    """Print each record, each field with what was done to it, and what stands behind it."""
    actions = {field.name: field.action for field in answer.decision.fields}
    for row in answer.rows():
        for name, value in row.items():
            print(f"{name:<20} {actions.get(name, 'label'):<10} {value}")
        print()
    for reason in answer.decision.reasons:
        print(f"dropped {', '.join(reason.fields)}: {reason.clause_en}")
    coverage = answer.decision.coverage
    print(f"rows: {sum(batch.rows for batch in answer.batches)}")
    print(f"sources: {', '.join(coverage.sources)}; as of {coverage.as_of.ToJsonString()}")
    print(f"request {answer.decision.request_id}, intent entry {answer.decision.intent.index}")


def _print_refusal(refusal: RefusedError) -> None:
    """Print every reason with its clause and what would make the request allowed."""
    print(f"refused: {refusal.code} (denial entry {refusal.refusal.denial_index})")
    for reason in refusal.reasons:
        print(f"  {reason.rule} {reason.code}")
        print(f"    clause: {reason.clause_en}")
        print(f"    remedy: {reason.remedy_en}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--subject", required=True, action="append", help="repeatable")
    parser.add_argument("--product", default="legal_entity_base")
    parser.add_argument("--field", action="append", help="repeatable")
    parser.add_argument("--purpose", default="CREDIT_REPORT")
    parser.add_argument("--scenario", default="ENTERPRISE_REPORT")
    parser.add_argument("--operator", default="u-17", help="the human behind the call")
    parser.add_argument("--case", default="case-2026-0042", help="the case behind the call")
    parser.add_argument("--end-user", default="", help="for whom, where a foreign bureau is behind")
    parser.add_argument("--receipt", type=Path, help="folder for the receipt")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
