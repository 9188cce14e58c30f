import json
import time

import pytest

from gateway.identity.keyfiles import new_document_key, write_private_key
from tests.simulator import uscc

DESCRIPTION = """
licence_id: AGENCY-1
party_id: uscc:{party}
kind: ENTERPRISE_CREDIT_FILING
agreement: {{agreement_id: OP-1, not_before: 2026-01-01, not_after: 2096-01-01}}
grants:
  legal_entity_base: {{fields: [uscc, name]}}
purposes: [CREDIT_REPORT]
scenarios: [ENTERPRISE_REPORT]
subject_kinds: [LEGAL_ENTITY]
not_before: 2026-01-01
not_after: 2096-01-01
"""


@pytest.fixture
def description(xinguan, tmp_path):
    xinguan.do("party", "add", uscc(1), "--name", "机构", "--role", "AGENCY")
    path = tmp_path / "licence.yaml"
    path.write_text(DESCRIPTION.format(party=uscc(1)))
    return path


def test_a_description_is_signed_and_put_in_force(xinguan, description) -> None:
    made = xinguan.do("licence", "issue", description)
    assert (made["serial"], made["status"]) == (1, "ACTIVE")
    assert made["from"] == "2026-01-01 00:00:00 +08:00"
    assert made["fields"] == {"legal_entity_base": ["name", "uscc"]}
    assert xinguan.do("licence", "issue", description)["serial"] == 2
    assert [row["serial"] for row in xinguan.do("licence", "list")] == [2]


def test_json_and_toml_say_the_same(xinguan, description, tmp_path) -> None:
    stated = {
        "licence_id": "L-2",
        "party_id": f"uscc:{uscc(1)}",
        "kind": "CREDIT_SERVICE_OTHER",
        "agreement": {"agreement_id": "A", "not_before": 0, "not_after": "2096-01-01"},
        "grants": {"legal_entity_base": {"fields": ["uscc"]}},
        "purposes": ["CREDIT_REPORT"],
        "scenarios": ["ENTERPRISE_REPORT"],
        "subject_kinds": ["LEGAL_ENTITY"],
        "not_before": int(time.time()) - 5,
        "not_after": "2096-01-01T00:00:00+08:00",
    }
    (tmp_path / "l.json").write_text(json.dumps(stated))
    made = xinguan.do("licence", "issue", tmp_path / "l.json")
    (tmp_path / "l.toml").write_text(
        "\n".join(
            f"{name} = {json.dumps(value)}"
            for name, value in stated.items()
            if not isinstance(value, dict)
        )
        + "\nagreement = { agreement_id = 'A', not_before = 0, not_after = 2096-01-01 }"
        + "\n[grants.legal_entity_base]\nfields = ['uscc']\n"
    )
    again = xinguan.do("licence", "issue", tmp_path / "l.toml")
    assert again["serial"] == 2
    assert (again["until"], again["fields"]) == (made["until"], made["fields"])


def test_a_signed_document_is_taken_and_a_tampered_one_refused(
    xinguan, description, tmp_path
) -> None:
    other = tmp_path / "other"
    xinguan.do("licence", "issue", description, "--out", tmp_path / "l.jws")
    document = (tmp_path / "l.jws").read_text()
    assert xinguan.refuse("licence", "issue", "--document", tmp_path / "l.jws") == "CONFLICT"
    head, payload, signature = document.strip().split(".")
    other.write_text(f"{head}.{payload[:-4]}AAAA.{signature}")
    assert xinguan.refuse("licence", "issue", "--document", other) == "BAD_SIGNATURE"
    write_private_key(tmp_path / "stranger.key", new_document_key())
    stranger = ("licence", "issue", description, "--authority-key", tmp_path / "stranger.key")
    assert xinguan.refuse(*stranger) == "BAD_SIGNATURE"
    assert [row["serial"] for row in xinguan.do("licence", "list")] == [1]


@pytest.mark.parametrize(
    ("line", "replacement", "code"),
    [
        ("fields: [uscc, name]", "fields: [uscc, no_such_field]", "UNKNOWN_FIELD"),
        ("legal_entity_base:", "no_such_product:", "UNKNOWN_PRODUCT"),
        ("kind: ENTERPRISE_CREDIT_FILING", "kind: WARRANT", "BAD_DOCUMENT"),
        ("licence_id: AGENCY-1", "licence: AGENCY-1", "BAD_DOCUMENT"),
        ("not_after: 2096-01-01\n", "not_after: 2026-01-02\n", "BAD_DOCUMENT"),
        ("not_after: 2096-01-01\n", "not_after: whenever\n", "BAD_DOCUMENT"),
        ("purposes: [CREDIT_REPORT]", "purposes: [", "BAD_DOCUMENT"),
        (f"uscc:{uscc(1)}", f"uscc:{uscc(2)}", "NOT_FOUND"),
        (f"uscc:{uscc(1)}", "uscc:91460099", "BAD_ID"),
        ("scenarios:", "scenario:", "BAD_DOCUMENT"),
    ],
)
def test_a_description_at_fault_is_refused(xinguan, description, line, replacement, code) -> None:
    text = description.read_text()
    assert line in text
    description.write_text(text.replace(line, replacement))
    assert xinguan.refuse("licence", "issue", description) == code
    assert xinguan.do("licence", "list") == []


def test_status_changes_take_effect_and_are_final_where_they_must_be(xinguan, description) -> None:
    xinguan.do("licence", "issue", description)
    assert xinguan.do("licence", "suspend", "AGENCY-1")["status"] == "SUSPENDED"
    assert xinguan.refuse("licence", "suspend", "AGENCY-1") == "CONFLICT"
    assert xinguan.do("licence", "resume", "AGENCY-1")["status"] == "ACTIVE"
    assert xinguan.do("licence", "revoke", "AGENCY-1")["status"] == "REVOKED"
    assert xinguan.refuse("licence", "resume", "AGENCY-1") == "CONFLICT"
    assert xinguan.do("licence", "show", "AGENCY-1")["status"] == "REVOKED"
    assert xinguan.refuse("licence", "show", "NOBODY") == "NOT_FOUND"


def test_why_a_status_changed_stands_in_the_log(xinguan, description) -> None:
    xinguan.do("licence", "issue", description)
    changed = xinguan.do("licence", "suspend", "AGENCY-1", "--reason", "数据泄露核查")
    assert xinguan.entry(changed["entry"])["reason"] == "数据泄露核查"
    resumed = xinguan.do("licence", "resume", "AGENCY-1")
    assert "reason" not in xinguan.entry(resumed["entry"])
    refused = xinguan.refuse("licence", "revoke", "AGENCY-1", "--reason", f"see {uscc(3)}")
    assert refused == "BAD_REQUEST"
    assert xinguan.do("licence", "show", "AGENCY-1")["status"] == "ACTIVE"


def test_without_the_authoritys_key_the_remedy_is_told(xinguan, description) -> None:
    (xinguan.home / "dev-authority/authority.key").unlink()
    ran = xinguan("licence", "issue", description)
    assert ran.code == 2
    assert "NO_AUTHORITY" in ran.err
    assert "--document" in ran.err
    assert xinguan("licence", "issue").code == 2
