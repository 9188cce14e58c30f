"""The commands about subjects: who asked, holds, destruction, the index, the doctor."""

import json
import os
import sqlite3
import time

import pytest

from audit.commitment import Opening, SubjectLabels, commit
from audit.entries import Use, denial, outcome
from audit.openings import OpeningStore
from gateway.deployment import Deployment
from gateway.domain.errors import InternalError
from gateway.subjects.retention import kept_until, retention_months
from tests.simulator import uscc

SUBJECT, OTHER = uscc(41), uscc(42)
YEAR_S = 365 * 86_400
BASIS = ("--basis", "request of the subject under PIPL 47")


def days_ago(days):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * 86_400))


class Deed:
    """Writes denials about subjects into the log, at any time, with the deployment's own keys."""

    def __init__(self, home):
        self.deployment = Deployment.open(home)
        secrets = self.deployment.secrets()
        self.store = OpeningStore(secrets.opening_key)
        self.labels = SubjectLabels(secrets.index_key)

    def ask(self, subject, years_ago=0.0):
        when = int(time.time() - years_ago * YEAR_S)
        opening = Opening("subjects", subject.encode(), os.urandom(32))
        entry = denial(
            time=when,
            node="node-1",
            use=Use(
                request="01JG8ZQ7V6X3T1N5R0K9M2B4C6",
                product="admin_penalty",
                party="uscc:91460000000000000A",
                purpose="CREDIT_REPORT",
                subject_count=1,
                subjects=commit(opening),
            ),
            reasons=[("R32", "OUT_OF_SCOPE")],
        )

        def job(tx):
            index = tx.append(entry).index
            self.store.record(tx, index, {"subjects": opening}, [self.labels.of(subject)])
            return index

        return self._run(job)

    def append(self, entry):
        return self._run(lambda tx: tx.append(entry).index)

    def _run(self, job):
        state = self.deployment.open_state()
        try:
            return state.run(job)
        finally:
            state.close()


@pytest.fixture
def deed(xinguan):
    return Deed(xinguan.home)


def publish(xinguan):
    xinguan.do("audit", "index", "build")
    xinguan.do("audit", "integrate")


def who(xinguan, *words):
    return xinguan.do("audit", "who", "--subject", SUBJECT, "--reason", "a complaint", *words)


def test_who_asked_with_a_proof_that_a_stranger_checks(xinguan, deed, tmp_path):
    first, second = deed.ask(SUBJECT, 2), deed.ask(SUBJECT)
    deed.ask(OTHER)
    publish(xinguan)
    tail = deed.ask(SUBJECT)
    xinguan.do("audit", "integrate")
    told = who(xinguan, "--verify", "--proof", tmp_path / "proof.json")
    assert [each["index"] for each in told["accesses"]] == [first, second, tail]
    assert told["accesses"][0]["refused"] == ["OUT_OF_SCOPE"]
    assert told["proof"]["complete"]
    assert told["proof"]["by root below entry"] > second
    assert told["proof"]["by openings below entry"] > tail
    assert (tmp_path / "proof.json").stat().st_mode & 0o777 == 0o600
    key = (xinguan.home / "gateway/keys/log.vkey").read_text().strip()
    checked = xinguan.do("audit", "who-check", tmp_path / "proof.json", "--key", key)
    assert checked["subject"] == SUBJECT
    assert [each["index"] for each in checked["accesses"]] == [first, second, tail]
    changed = json.loads((tmp_path / "proof.json").read_text())
    changed["entries"].pop()
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    refused = xinguan.refuse("audit", "who-check", tmp_path / "changed.json", "--key", key)
    assert refused == "BAD_PROOF"
    plain = xinguan("audit", "who", "--subject", SUBJECT, "--reason", "a complaint")
    assert "OUT_OF_SCOPE" in plain.out
    assert SUBJECT not in xinguan("audit", "entries", "--count", 100).out


def test_a_proof_stands_in_no_other_files_place(xinguan, deed, tmp_path):
    deed.ask(SUBJECT)
    publish(xinguan)
    taken = tmp_path / "taken"
    taken.write_text("another's")
    words = ("--subject", SUBJECT, "--reason", "r", "--proof", taken)
    assert xinguan.refuse("audit", "who", *words) == "FILE_EXISTS"
    assert taken.read_text() == "another's"


def test_a_window_of_time(xinguan, deed):
    old, new = deed.ask(SUBJECT, 3), deed.ask(SUBJECT, 1)
    publish(xinguan)
    day = days_ago(2 * 365)
    for words, wanted in ((("--from", day), [new]), (("--to", day), [old]), ((), [old, new])):
        told = who(xinguan, "--verify", *words)
        assert [each["index"] for each in told["accesses"]] == wanted
        assert told["proof"]["complete"], told
    assert xinguan.refuse(
        "audit", "who", "--subject", SUBJECT, "--reason", "r", "--from", "soon"
    ) == "BAD_DOCUMENT"  # fmt: skip


def test_an_access_that_is_hidden_from_the_tail_is_told(xinguan, deed):
    index = deed.ask(SUBJECT)
    xinguan.do("audit", "integrate")
    with sqlite3.connect(deed.deployment.state_path) as connection:
        connection.execute("DELETE FROM audit_label WHERE entry = ?", (index,))
    connection.close()
    ran = xinguan(
        "audit", "who", "--subject", SUBJECT, "--reason", "r", "--verify", "--json"
    )  # fmt: skip
    assert ran.code == 1
    assert ran.json["proof"]["missing in the tail"] == 1


def test_the_index_is_derived_anew_and_an_omission_found(xinguan, deed):
    deed.ask(SUBJECT)
    omitted = deed.ask(OTHER)
    deed.ask(SUBJECT)
    with sqlite3.connect(deed.deployment.state_path) as connection:
        connection.execute("DELETE FROM audit_label WHERE entry = ?", (omitted,))
    connection.close()
    publish(xinguan)
    ran = xinguan("audit", "index", "verify", "--json")
    assert ran.code == 1
    assert not ran.json["holds"]
    assert "is not that of the subjects" in ran.json["problems"][0]


def test_the_index_holds(xinguan, deed):
    for number in range(4):
        deed.ask(SUBJECT, number)
    publish(xinguan)
    told = xinguan.do("audit", "index", "verify")
    assert told["holds"]
    assert (told["accesses"], told["roots derived anew"]) == (4, 1)


# --- forgetting ---


def destroy(*words):
    return ("audit", "destroy", "--subject", SUBJECT, *BASIS, *words)


@pytest.mark.rule("R83", "effect")
def test_nothing_is_destroyed_before_its_retention(xinguan, deed):
    deed.ask(SUBJECT, 6)
    deed.ask(SUBJECT, 4.9)
    publish(xinguan)
    assert xinguan.refuse(*destroy()) == "RETENTION"
    assert xinguan.refuse(*destroy("--until", "1999-01-01")) == "NOT_FOUND"
    assert len(who(xinguan)["accesses"]) == 2


@pytest.mark.rule("R83", "absence")
def test_what_is_over_is_destroyed_and_who_says_so(xinguan, deed, tmp_path):
    old = deed.ask(SUBJECT, 6)
    kept = deed.ask(SUBJECT, 1)
    other = deed.ask(OTHER, 6)
    publish(xinguan)
    who(xinguan, "--proof", tmp_path / "before.json")
    day = days_ago(2_007)
    done = xinguan.do(*destroy("--until", day))
    assert done["write-ahead log emptied"]
    assert done["sealed again"]
    xinguan.do("audit", "integrate")
    told = who(xinguan, "--verify")
    assert [each["index"] for each in told["accesses"]] == [kept]
    assert f"1 entries before {day}" in told["destroyed"][0]
    assert told["proof"]["complete"]
    assert xinguan.do("audit", "verify")["verified"]
    assert xinguan.do("audit", "index", "verify")["openings destroyed"] == 1
    key = (xinguan.home / "gateway/keys/log.vkey").read_text().strip()
    before = xinguan.do("audit", "who-check", tmp_path / "before.json", "--key", key)
    assert [each["index"] for each in before["accesses"]] == [old, kept]
    entry = xinguan.entry(done["entry"])
    assert (entry["kind"], entry["count"]) == ("openings_destroyed", 1)
    assert SUBJECT not in json.dumps(entry)
    others = xinguan.do("audit", "who", "--subject", OTHER, "--reason", "r")
    assert [each["index"] for each in others["accesses"]] == [other]
    assert xinguan.refuse(*destroy("--until", day)) == "NOT_FOUND"


def test_a_subject_is_found_and_held_however_it_is_typed(xinguan, deed, tmp_path):
    asked = deed.ask(SUBJECT, 6)
    publish(xinguan)
    typed = f" uscc:{SUBJECT.lower()} "
    (access,) = xinguan.do("audit", "who", "--subject", typed, "--reason", "r")["accesses"]
    assert access["index"] == asked
    hold = xinguan.do("audit", "hold", "place", "--subject", typed, "--reason", "a court order")
    assert xinguan.refuse(*destroy()) == "ON_HOLD"
    xinguan.do("audit", "hold", "lift", hold["hold"], "--reason", "over")
    out = ("--out", tmp_path / "pack")
    xinguan.do("audit", "evidence", *out, "--subject", typed, "--reason", "r")
    assert xinguan.do(*(typed if word == SUBJECT else word for word in destroy()))["destroyed"]


@pytest.mark.parametrize("subject", ["", "  ", "nobody", SUBJECT[:-1] + "#"])
def test_a_subject_that_no_request_could_name_is_refused(xinguan, subject):
    before = xinguan.do("audit", "integrate")["size"]
    for words in (
        ("who", "--reason", "r"),
        ("hold", "place", "--reason", "r"),
        ("destroy", "--basis", "b"),
    ):
        refused = xinguan.refuse("audit", *words, "--subject", subject)
        assert refused == "BAD_ID"
    assert xinguan.refuse("audit", "who", "--subject", SUBJECT, "--reason", " ") == "BAD_REQUEST"
    assert xinguan.do("audit", "hold", "list") == []
    assert xinguan.do("audit", "integrate")["size"] == before


def test_a_hold_stops_it(xinguan, deed):
    deed.ask(SUBJECT, 6)
    publish(xinguan)
    hold = xinguan.do("audit", "hold", "place", "--subject", SUBJECT, "--reason", "a court order")
    every = xinguan.do("audit", "hold", "place", "--reason", "an inspection")
    assert xinguan.refuse(*destroy()) == "ON_HOLD"
    xinguan.do("audit", "hold", "lift", hold["hold"], "--reason", "the case is closed")
    assert xinguan.refuse(*destroy()) == "ON_HOLD"
    xinguan.do("audit", "hold", "lift", every["hold"], "--reason", "done")
    again = ("audit", "hold", "lift", every["hold"], "--reason", "done")
    assert xinguan.refuse(*again) == "CONFLICT"
    assert xinguan.refuse("audit", "hold", "lift", "hold-0", "--reason", "x") == "NOT_FOUND"
    listed = xinguan.do("audit", "hold", "list")
    assert [row["on"] for row in listed] == ["one subject", "everything"]
    assert all(row["lifted"] for row in listed)
    assert xinguan.do(*destroy())["destroyed"]


@pytest.fixture
def keys(xinguan, tmp_path):
    found = {}
    for number, role in ((1, "SYSTEM_ADMIN"), (2, "AUDIT_ADMIN"), (3, "BANK")):
        xinguan.do("party", "add", uscc(number), "--name", role, "--role", role, "--no-certificate")
        xinguan.do("party", "key", "issue", uscc(number), "--out", tmp_path / role)
        found[role] = tmp_path / role / "document.key"
    return found


def test_two_roles_approve_a_destruction(xinguan, deed, keys, tmp_path):
    deed.ask(SUBJECT, 6)
    publish(xinguan)
    until, other = ("--until", days_ago(2_000)), ("--until", days_ago(2_030))

    def approval(role, name, *words):
        out = tmp_path / f"{name}.jws"
        xinguan.do(
            "audit", "approve-destruction", "--subject", SUBJECT, *BASIS, *until,
            "--key", keys[role], "--out", out, *words,
        )  # fmt: skip
        return ("--approval", out)

    system, audit = approval("SYSTEM_ADMIN", "system"), approval("AUDIT_ADMIN", "audit")
    assert xinguan.refuse(*destroy(*until)) == "APPROVALS_MISSING"
    assert xinguan.refuse(*destroy(*until, *system)) == "APPROVALS_MISSING"
    assert xinguan.refuse(*destroy(*until, *system, *system)) == "APPROVALS_MISSING"
    bank = approval("BANK", "bank")
    assert xinguan.refuse(*destroy(*until, *system, *bank)) == "ROLE_FORBIDDEN"
    assert xinguan.refuse(*destroy(*other, *system, *audit)) == "CONFLICT"
    tampered = tmp_path / "tampered.jws"
    tampered.write_text((tmp_path / "audit.jws").read_text()[:-9] + "AAAAAAAA\n")
    wrong = ("--approval", tampered)
    assert xinguan.refuse(*destroy(*until, *system, *wrong)) == "BAD_SIGNATURE"
    done = xinguan.do(*destroy(*until, *system, *audit))
    approvals = xinguan.entry(done["entry"])["approvals"]
    assert [party for party, _ in approvals] == [f"uscc:{uscc(1)}", f"uscc:{uscc(2)}"]


def test_a_standard_gateway_needs_both_roles_whoever_is_registered(xinguan, deed):
    deed.ask(SUBJECT, 6)
    publish(xinguan)
    config = xinguan.home / "gateway/xinguan.toml"
    config.write_text(config.read_text().replace('"dev"', '"standard"'))
    assert xinguan.refuse(*destroy()) == "APPROVALS_MISSING"


def test_the_retention_ends_at_the_end_of_the_same_day(tmp_path):
    assert retention_months() == 60
    stamp = 1_582_934_400  # 2020-02-29 08:00 +08:00
    assert kept_until(stamp, 60) == 1_740_758_400  # 2025-02-28 24:00 +08:00
    assert kept_until(stamp, 72) == kept_until(stamp + 15 * 3600, 72)
    with pytest.raises(InternalError):
        retention_months("never heard of")


# --- the doctor ---


def test_the_doctor_finds_nothing_and_then_something(xinguan, deed):
    deed.ask(SUBJECT)
    publish(xinguan)
    assert xinguan.do("audit", "doctor")["agrees"]
    plain = xinguan("audit", "doctor")
    assert (plain.code, "none" in plain.out) == (0, True)
    deed.append(
        outcome(time=int(time.time()), node="n", intent=0, status="delivered", rows=1, size=1)
    )
    xinguan.do("audit", "integrate")
    ran = xinguan("audit", "doctor", "--json")
    assert ran.code == 1
    assert ran.json["kinds"] == {"no_intent": 1, "openings_missing": 1}
    again = xinguan("audit", "doctor", "--from-start")
    assert again.code == 1
    assert "it refers to no intent" in again.out
