"""A partner across the border asks in each mode of its agreement, by rising risk.

    python examples/partner_recognition.py check --report-no XG-... --file report.json
    python examples/partner_recognition.py status --subject lei:... --status REGISTERED
    python examples/partner_recognition.py grade --subject uscc:...
    python examples/partner_recognition.py report --subject uscc:... --out report.json
    python examples/partner_recognition.py tables

each with --target localhost:8443 --cert client.pem --key client.key --ca ca.pem. What is refused
is refused with its clause and its remedy.
"""

import argparse
import json
import sys
from pathlib import Path

from xinguan.client import Identity, RefusedError, SyncClient
from xinguan.v1 import recognition_pb2

SECTIONS = {
    "legal_entity_base": ("uscc", "name", "name_en", "reg_status", "established_on", "entity_type"),
    "public_credit_grade": ("uscc", "grade", "as_of"),
}
PREFIX = "REPORT_STATUS_"


def main() -> int:
    """Ask in the mode wanted and print the answer."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    context = {
        "purpose": words.purpose,
        "scenario": "MUTUAL_RECOGNITION",
        "destination": words.destination,
        "operator": "analyst-1",
        "case_reference": "trade-2026-9",
    }
    with SyncClient(words.target, identity) as gateway:
        try:
            _MODES[words.mode](gateway, words, context)
        except RefusedError as refusal:
            print(f"refused: {refusal.code}")
            for reason in refusal.reasons:
                print(f"  {reason.rule} {reason.code}: {reason.clause_en}")
                print(f"  remedy: {reason.remedy_en}")
            return 1
    return 0


def _check(gateway: SyncClient, words: argparse.Namespace, context: dict[str, str]) -> None:
    answer = gateway.check_report(words.report_no, words.file.read_bytes(), **context)
    status = recognition_pb2.ReportStatus.Name(answer.status).removeprefix(PREFIX)
    until = answer.valid_until.ToJsonString() if answer.HasField("valid_until") else ""
    print(f"{words.report_no}: {status} {until}".rstrip())
    _print_basis(answer.basis)


def _status(gateway: SyncClient, words: argparse.Namespace, context: dict[str, str]) -> None:
    answers = gateway.check_status(words.subject, words.status, **context)
    for name, answer in answers.items():
        print(f"{name}: {'shown' if answer.shown else 'not shown'} ({answer.title_en})")
        _print_basis(answer.basis)


def _grade(gateway: SyncClient, words: argparse.Namespace, context: dict[str, str]) -> None:
    answer = gateway.map_grade(words.subject, **context)
    told = answer.grade or ("no equivalent" if answer.no_equivalent else "no grade is shown")
    print(f"{answer.scale}: {told} (original: {answer.original or '-'} of {answer.original_scale})")
    _print_basis(answer.basis)


def _report(gateway: SyncClient, words: argparse.Namespace, context: dict[str, str]) -> None:
    answer = gateway.report(words.subject, SECTIONS, **context)
    words.out.write_bytes(answer.document)
    print(f"report {answer.report_no}, valid until {answer.valid_until.ToJsonString()}")
    for section in json.loads(answer.document)["sections"]:
        print(f"  {section['title']['en']} / {section['title']['zh']}")
        for record in section["records"]:
            for field in section["fields"]:
                value = record[field["field"]]
                english = f" ({value['en']})" if "en" in value else ""
                label = f"{field['label']['en']} / {field['label']['zh']}"
                print(f"    {field['name']}: {value['value']}{english}  [{label}]")


def _tables(gateway: SyncClient, words: argparse.Namespace, context: dict[str, str]) -> None:
    del words, context
    found = gateway.tables()
    print(f"terms {found.terms.version.name} v{found.terms.version.version}:", *found.terms.modes)
    for mapping in found.mappings:
        rows = ", ".join(f"{row.grade}={row.equals or '-'}" for row in mapping.rows)
        print(f"mapping {mapping.version.name} v{mapping.version.version}: {rows}")
    for table in found.field_tables:
        print(f"fields {table.version.name} v{table.version.version}: {len(table.rows)} row(s)")


def _print_basis(basis: recognition_pb2.RecognitionBasis) -> None:
    versions = {
        "terms": basis.terms,
        "mapping": basis.mapping,
        "fields": basis.field_table,
        "whitelist": basis.whitelist,
    }
    told = [f"{name} {each.name} v{each.version}" for name, each in versions.items() if each.name]
    print(f"  rests on {', '.join(told)}; entry {basis.outcome.index}")


_MODES = {
    "check": _check,
    "status": _status,
    "grade": _grade,
    "report": _report,
    "tables": _tables,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mode", choices=sorted(_MODES))
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--subject", default="", help="uscc:..., lei:... or reg:CC:NUMBER")
    parser.add_argument("--status", action="append", default=[], help="a status; repeatable")
    parser.add_argument("--report-no", default="", help="number of a report")
    parser.add_argument("--file", type=Path, help="the report, byte for byte")
    parser.add_argument("--out", type=Path, default=Path("report.json"), help="where to keep it")
    parser.add_argument("--purpose", default="TRADE", help="purpose code")
    parser.add_argument("--destination", default="SG", help="ISO 3166 code")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
