"""Entries: what the page documents is what the builders write, and the hot ones are small."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest

from audit import (
    acts,
    border,
    border_store,
    credentials,
    entries,
    export_entries,
    foreign,
    grants,
    index_entries,
    recognition,
    repairs,
)
from audit.canonical import encode_entry
from audit.entries import Use
from audit.errors import EntryError

PAGE = (Path(__file__).parents[2] / "docs" / "audit-entries.md").read_text()
KINDS = [
    "log_opened",
    "party_registered",
    "certificate_pinned",
    "certificate_revoked",
    "licence_activated",
    "licence_status",
    "consent_registered",
    "consent_withdrawn",
    "stop_ordered",
    "stop_lifted",
    "whitelist_proposed",
    "whitelist_approved",
    "whitelist_withdrawn",
    "border_proposed",
    "border_approved",
    "border_registered",
    "border_status",
    "issuer_proposed",
    "issuer_approved",
    "issuer_withdrawn",
    "foreign_admitted",
    "foreign_refreshed",
    "policy_activated",
    "policy_approved",
    "contract_published",
    "snapshot_admitted",
    "node_started",
    "node_stopped",
    "key_changed",
    "border_copied",
    "border_destroyed",
    "intent",
    "batch",
    "outcome",
    "denial",
    "repair",
    "recall",
    "alarm",
    "recall_acknowledged",
    "recall_escalated",
    "recall_probed",
    "endpoint_declared",
    "suspension_proposed",
    "suspension_closed",
    "publicity_reconciled",
    "credential_issued",
    "credential_status",
    "audit_read",
    "index_root",
    "openings_destroyed",
    "hold_placed",
    "hold_lifted",
    "intents_open",
    "export_declared",
    "export_settled",
    "recognition_registered",
    "recognition_proposed",
    "recognition_approved",
    "recognition_withdrawn",
    "report_issued",
]
DIGEST = bytes(range(32))
USE = Use(
    request="01JG8ZQ7V6X3T1N5R0K9M2B4C6",
    product="admin_penalty",
    managers=("11460000MB0000001A",),
    party="91460099MA00000016",
    certificate=DIGEST.hex(),
    operator=DIGEST,
    case=DIGEST,
    purpose="CREDIT_ASSESSMENT",
    scenario="PRE_LOAN",
    destination="CN",
    licence=1_000_000,
    consent=1_000_001,
    contract=DIGEST,
    bundle=DIGEST,
    input=DIGEST,
    decision=DIGEST,
    policy=1_000_002,
    run=1_000_003,
    publication=1_000_004,
    pinned=1_000_005,
    whitelist=1_000_006,
    border=(1_000_007, 1_000_008),
    subject_count=1,
    subjects=DIGEST,
    idempotency=DIGEST,
    signature=DIGEST,
    end_user=DIGEST,
)


def documented(heading):
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))


def sample(annotation):
    text = str(annotation)
    for sign, value in (
        ("Mapping", {"name": "allow", "phone": "mask", "uscc": "allow"}),
        ("tuple[str, str]", [("R32", "PURPOSE"), ("GATE", "X")]),
        ("Sequence[str]", ("a", "b")),
        ("Sequence[int]", (1, 2)),
        ("bytes", DIGEST),
        ("bool", True),
        ("int", 7),
    ):
        if sign in text:
            return value
    return USE if annotation is Use else "text"


def build(kind, *, optional=True):
    builder = getattr(entries, kind)
    parameters = inspect.signature(builder).parameters
    return builder(**{
        name: sample(each.annotation)
        for name, each in parameters.items()
        if optional or each.default is inspect.Parameter.empty
    })  # fmt: skip


def json_type(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, dict):
        return "object of lists"
    if isinstance(value, list):
        inner = value[0]
        names = {int: "integers", str: "strings", list: "pairs"}
        return f"list of {names[type(inner)]}"
    return "digest" if len(value) == 43 else "string"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_documents_exactly_what_is_written(kind):
    entry = build(kind)
    common = {"v": 1, "kind": kind, "time": 7, "node": "text"}
    assert {name: entry[name] for name in common} == common
    pages = documented(f"### `{kind}`")
    if kind in {"intent", "denial"}:
        pages |= documented("## Who manages and who uses")
    own = {name: json_type(value) for name, value in entry.items() if name not in common}
    assert own == {name: each.removesuffix(", optional") for name, each in pages.items()}
    assert encode_entry(entry)


@pytest.mark.parametrize("kind", KINDS)
def test_optional_members_are_left_out_never_null(kind):
    entry = build(kind, optional=False)
    assert None not in entry.values()
    pages = documented(f"### `{kind}`")
    needed = {name for name, each in pages.items() if "optional" not in each}
    assert needed <= entry.keys()


def test_no_kind_is_missing_and_none_is_undocumented():
    assert set(re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)) == set(KINDS)
    public = {
        name
        for module in (
            acts,
            border,
            border_store,
            credentials,
            entries,
            export_entries,
            foreign,
            grants,
            index_entries,
            recognition,
            repairs,
        )
        for name, each in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and each.__module__ == module.__name__
    }
    assert public == set(KINDS)
    assert set(KINDS) <= set(entries.__all__)


def test_the_shared_members_are_documented():
    assert documented("## What all entries share").keys() == {"v", "kind", "time", "node"}


def test_an_early_denial_says_only_what_was_known():
    entry = entries.denial(
        time=7, node="n", use=Use(request="r"), reasons=[("GATE", "UNKNOWN_CERTIFICATE")]
    )
    assert entry == {
        "v": 1,
        "kind": "denial",
        "time": 7,
        "node": "n",
        "request": "r",
        "reasons": [["GATE", "UNKNOWN_CERTIFICATE"]],
    }


def test_the_two_entries_of_an_ordinary_query_stay_under_1500_bytes():
    # Names of the catalogue's average length; an ordinary query needs no consent.
    fields = {f"field_name_{i:02d}": ("allow", "allow", "mask")[i % 3] for i in range(20)}
    # The pin and the publication lead to certificate and contract; nothing crosses a border.
    use = replace(
        USE,
        consent=None,
        signature=None,
        certificate=None,
        contract=None,
        whitelist=None,
        border=(),
        end_user=None,
    )
    intent = entries.intent(
        time=1_800_000_000, node="node-1", use=use, snapshot=DIGEST, fields=fields
    )
    outcome = entries.outcome(
        time=1_800_000_000,
        node="node-1",
        intent=1_000_002,
        status="complete",
        rows=3,
        size=4096,
        content=DIGEST,
        field_root=DIGEST,
        delivered=DIGEST,
    )
    assert len(encode_entry(intent)) + len(encode_entry(outcome)) < 1500


@pytest.mark.parametrize("digest", [b"short", "abcd", "zz" * 32, b"x" * 33, ""])
def test_what_is_not_32_bytes_is_no_digest(digest):
    with pytest.raises(EntryError):
        entries.digest_text(digest)
