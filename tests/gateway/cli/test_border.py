import json
import time

import pytest

from tests.simulator import uscc

PARTNER = "reg:SG:201912345K"
DAY_S = 86_400


@pytest.fixture
def cast(xinguan, tmp_path):
    """An exporter and approvers with document keys, a partner; role to the key's path."""
    xinguan.do("party", "add", PARTNER, "--name", "Partner", "--role", "CROSS_BORDER_PARTNER")
    found = {}
    for number, role in ((1, "SECURITY_ADMIN"), (2, "AUTHORITY"), (3, "AGENCY")):
        xinguan.do("party", "add", uscc(number), "--name", role, "--role", role, "--no-certificate")
        xinguan.do("party", "key", "issue", uscc(number), "--out", tmp_path / role)
        found[role] = tmp_path / role / "document.key"
    return found


@pytest.fixture
def describe(tmp_path):
    def write(name, **words):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(words), encoding="utf-8")
        return path

    return write


def mechanism(**words):
    return {
        "number": "SCC-HN-2026-0001",
        "kind": "SCC",
        "exporter": f"uscc:{uscc(3)}",
        "recipient": PARTNER,
        "fields": ["name", "court"],
        "purposes": ["TRADE"],
        "scale_cap": 5000,
        "not_after": int(time.time()) + 400 * DAY_S,
    } | words


def test_a_mechanism_is_signed_listed_suspended_and_withdrawn(xinguan, cast, describe) -> None:
    at = ("border", "mechanism")
    added = xinguan.do(*at, "add", describe("m", **mechanism()))
    assert (added["name"], added["version"], added["state"]) == ("SCC-HN-2026-0001", 1, "in effect")
    assert xinguan.entry(added["entry"])["kind"] == "border_registered"
    (listed,) = xinguan.do(*at, "list")
    assert listed["scale_cap"] == 5000
    assert listed["renewal_due"] is False
    assert listed["renew_by"] < listed["until"]
    assert xinguan.do(*at, "suspend", added["name"])["state"] == "suspended"
    assert xinguan.do(*at, "resume", added["name"])["state"] == "in effect"
    gone = xinguan.do(*at, "withdraw", added["name"], "--reason", "the partner closed")
    assert gone["state"] == "withdrawn"
    assert xinguan.do(*at, "show", added["name"])["terms"]["kind"] == "SCC"
    assert xinguan.refuse(*at, "withdraw", added["name"]) == "CONFLICT"


def test_two_roles_approve_a_proposal(xinguan, cast, describe) -> None:
    at = ("border", "mechanism")
    path = describe("m", **mechanism())
    assert xinguan.do(*at, "add", path, "--propose")["state"] == "awaits approval"
    approve = (*at, "approve", "SCC-HN-2026-0001", "--key")
    assert xinguan.do(*approve, cast["SECURITY_ADMIN"])["state"] == "awaits approval"
    assert xinguan.refuse(*approve, cast["AGENCY"]) == "ROLE_FORBIDDEN"
    done = xinguan.do(*approve, cast["AUTHORITY"])
    assert done["state"] == "in effect"
    assert set(done["approvals"]) == {"SECURITY_ADMIN", "AUTHORITY"}


def test_a_renewal_that_is_due_shows_in_the_list_and_among_the_alarms(
    xinguan, cast, describe
) -> None:
    soon = int(time.time()) + 30 * DAY_S
    xinguan.do("border", "mechanism", "add", describe("m", **mechanism(not_after=soon)))
    (row,) = xinguan.do("border", "mechanism", "list", "--due")
    assert row["renewal_due"] is True
    assert row["alarm"].startswith("entry ")
    alarms = [alarm["code"] for alarm in xinguan.do("repair", "alarms")]
    assert alarms == ["MECHANISM_RENEWAL_DUE"]
    xinguan.do("border", "mechanism", "list")
    assert len(xinguan.do("repair", "alarms")) == 1


def test_the_other_registers(xinguan, cast, describe) -> None:
    now = int(time.time())
    exporter = f"uscc:{uscc(3)}"
    both = {"exporter": exporter, "recipient": PARTNER, "not_after": now + 300 * DAY_S}
    assessment = describe("a", assessment_id="PIA-1", purposes=["TRADE"], **both)
    added = xinguan.do("border", "assessment", "add", assessment, "--key", cast["AGENCY"])
    assert added["kept_until"] > added["until"]
    exemption = describe(
        "e",
        exemption_id="EX-1",
        products=["judgement_debtor"],
        purposes=["TRADE"],
        basis="ART5_CONTRACT",
        grounds="a contract of the person's own",
        **both,
    )
    assert xinguan.refuse("border", "exemption", "add", exemption) == "ROLE_FORBIDDEN"
    done = xinguan.do("border", "exemption", "add", exemption, "--key", cast["AGENCY"])
    assert done["basis"] == "ART5_CONTRACT"
    facts = {"party": exporter, "ciio": False, "state_organ": False, "basis": "declared"}
    assert xinguan.do("border", "exporter", "add", describe("x", **facts))["ciio"] is False
    facts = {"party": PARTNER, "judicial": True, "country": "SG", "basis": "a court"}
    assert xinguan.do("border", "partner", "add", describe("p", **facts))["judicial"] is True
    facts = {"product": "legal_entity_base", "notified": True, "basis": "notice 1"}
    xinguan.do("border", "important", "add", describe("i", **facts))
    for group in ("assessment", "exemption", "exporter", "partner", "important"):
        assert len(xinguan.do("border", group, "list")) == 1


def test_only_the_authority_lists_and_unlists_a_recipient(xinguan, cast, describe) -> None:
    words = {"party": PARTNER, "listed": True, "basis": "notice 1"}
    path = describe("r", **words)
    refuse = xinguan.refuse("border", "restricted", "add", path, "--key", cast["SECURITY_ADMIN"])
    assert refuse == "ROLE_FORBIDDEN"
    assert xinguan.refuse("border", "restricted", "add", path, "--propose") == "ROLE_FORBIDDEN"
    assert xinguan.do("border", "restricted", "add", path)["listed"] is True
    assert xinguan("border", "restricted", "withdraw", PARTNER).code == 2  # there is no such act
    off = xinguan.do("border", "restricted", "add", describe("o", **(words | {"listed": False})))
    assert (off["version"], off["listed"]) == (2, False)


def test_what_is_at_fault_is_told(xinguan, cast, describe) -> None:
    at = ("border", "mechanism", "add")
    assert xinguan.refuse(*at, describe("a", kind="SCC")) == "BAD_DOCUMENT"
    unknown = describe("b", **mechanism(recipient="reg:SG:UNKNOWN1"))
    assert xinguan.refuse(*at, unknown) == "NOT_FOUND"
    over = describe("c", **mechanism(not_before=0, not_after=1))
    assert xinguan.refuse(*at, over) == "BAD_DOCUMENT"
    assert xinguan(*at).code == 2
    assert xinguan.refuse("border", "mechanism", "show", "NOT-THERE") == "NOT_FOUND"


def test_the_negative_list_is_shown_with_its_source(xinguan) -> None:
    (row,) = xinguan.do("border", "negative-list")
    assert (row["data"], row["listed"], row["art6_exempt"]) == ("credit_data", False, False)
