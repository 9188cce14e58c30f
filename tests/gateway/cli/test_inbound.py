"""Documents from abroad over the command line: in, out, asked after, withdrawn."""

import json
import time
from pathlib import Path

import pytest

from gateway.cli import console
from gateway.cli.main import main
from tests.gateway.inbound.abroad import (
    BUREAU,
    OTHER_LEI,
    STATUS_URI,
    UEN,
    Issuer,
)
from tests.simulator import uscc


class Abroad(Issuer):
    """An issuer of the present time, whose documents lie in files."""

    def file(self, folder, name, *tokens):
        path = folder / name
        path.write_text("\n".join(tokens) + "\n", encoding="ascii")
        return path


@pytest.fixture
def bureau():
    return Abroad(now=int(time.time()))


@pytest.fixture
def described(bureau, tmp_path):
    path = tmp_path / "bureau.json"
    path.write_text(json.dumps(bureau.description()), encoding="utf-8")
    return path


@pytest.fixture
def registered(xinguan, described, tmp_path):
    document = tmp_path / "bureau.jws"
    xinguan.do("inbound", "issuer", "sign", described, "--out", document)
    return xinguan.do("inbound", "issuer", "add", "--document", document)


def states(xinguan):
    return [row["state"] for row in xinguan.do("inbound", "list")]


def test_an_issuer_is_proposed_and_approved_by_two_roles(xinguan, described, tmp_path):
    proposed = xinguan.do("inbound", "issuer", "add", described)
    assert (proposed["version"], proposed["state"]) == (1, "awaits approval")
    for number, role in ((1, "SECURITY_ADMIN"), (2, "AUTHORITY")):
        xinguan.do("party", "add", uscc(number), "--name", role, "--role", role, "--no-certificate")
        xinguan.do("party", "key", "issue", uscc(number), "--out", tmp_path / role)
        key = tmp_path / role / "document.key"
        done = xinguan.do("inbound", "issuer", "approve", BUREAU, "--key", key)
    assert done["state"] == "approved"
    assert done["keys"] == ["k-2026"]
    assert xinguan.refuse("inbound", "issuer", "add", described) == "CONFLICT"
    assert xinguan("inbound", "issuer", "add").code == 2
    assert xinguan("inbound", "issuer", "approve", BUREAU).code == 2


def test_a_registration_at_fault_is_refused(xinguan, bureau, tmp_path):
    path = tmp_path / "bad.json"
    for changes, code in (
        ({"jurisdiction": "CN"}, "BAD_DOCUMENT"),
        ({"keys": [{"kid": "k", "kty": "RSA"}]}, "FOREIGN_MALFORMED"),
        (
            {"statements": [bureau.description()["statements"][0] | {"fields": {"name": "n"}}]},
            "FOREIGN_STATEMENT",
        ),
    ):
        path.write_text(json.dumps(bureau.description(**changes)), encoding="utf-8")
        assert xinguan.refuse("inbound", "issuer", "add", path) == code
    assert xinguan.do("inbound", "issuer", "list") == []


def test_a_document_goes_in_with_its_status_list(xinguan, registered, bureau, tmp_path):
    good = bureau.file(tmp_path, "good.sdjwt", bureau.credential(), bureau.status_list())
    checked = xinguan.do("inbound", "check", good)
    assert [(one["code"], one["message"]) for one in checked] == [("", "it holds")]
    assert states(xinguan) == []
    done = xinguan.do("inbound", "admit", good)
    assert (done["documents"], done["admitted"], done["quarantined"]) == (1, 1, 0)
    assert done["rows"] == 1
    assert states(xinguan) == ["ACTIVE"]
    again = xinguan("inbound", "check", good, "--json")  # as admission would: it is there already
    assert (again.code, again.reason) == (2, "FOREIGN_OLDER")
    old = bureau.status_list(issued=bureau.now - 120)
    other = bureau.credential(bureau.claims(lei=OTHER_LEI, uen=None, index=8))
    hidden = bureau.file(tmp_path, "other.sdjwt", other, old)
    assert xinguan("inbound", "check", hidden, "--json").reason == "FOREIGN_STATUS_STALE"


def test_rows_in_are_rows_out_and_those_in_quarantine(xinguan, registered, bureau, tmp_path):
    lists = bureau.file(tmp_path, "list.jwt", bureau.status_list())
    other = bureau.claims(lei=OTHER_LEI, uen=None, index=8)
    files = [
        bureau.file(tmp_path, "a.sdjwt", bureau.credential()),
        bureau.file(tmp_path, "b.jws", bureau.report(bureau.claims(vct=f"{BUREAU}/vct/report/1"))),
        bureau.file(tmp_path, "c.sdjwt", bureau.credential(other)),
        bureau.file(tmp_path, "forged.sdjwt", Issuer(now=bureau.now).credential()),
        bureau.file(tmp_path, "again.sdjwt", bureau.credential()),
        bureau.file(tmp_path, "unmapped.sdjwt", bureau.credential(bureau.claims(rating="Q"))),
        bureau.file(tmp_path, "nothing.sdjwt", "no document"),
        bureau.file(tmp_path, "empty.sdjwt", ""),
    ]
    done = xinguan.do("inbound", "admit", *files, "--status", lists)
    assert (done["documents"], done["admitted"], done["quarantined"]) == (8, 3, 5)
    assert done["documents"] == done["rows"] + done["quarantined"]
    rows = [
        line.split(",")[:2] for line in Path(done["quarantine"]).read_text("utf-8").splitlines()[1:]
    ]
    assert dict(rows) == {
        "forged.sdjwt": "FOREIGN_SIGNATURE",
        "again.sdjwt": "FOREIGN_OLDER",
        "unmapped.sdjwt": "FOREIGN_MAPPING",
        "nothing.sdjwt": "FOREIGN_MALFORMED",
        "empty.sdjwt": "FOREIGN_MALFORMED",
    }


def test_a_replayed_older_document_is_refused_and_a_newer_one_replaces(
    xinguan, registered, bureau, tmp_path
):
    lists = bureau.file(tmp_path, "list.jwt", bureau.status_list())
    old = bureau.file(
        tmp_path, "old.sdjwt", bureau.credential(bureau.claims(issued=bureau.now - 900))
    )
    new = bureau.file(tmp_path, "new.sdjwt", bureau.credential(bureau.claims(rating="A1", index=9)))
    xinguan.do("inbound", "admit", old, "--status", lists)
    done = xinguan.do("inbound", "admit", new, "--status", lists)
    assert (done["admitted"], done["replaced"], done["rows"]) == (1, 1, 1)
    again = xinguan.do("inbound", "admit", old, new, "--status", lists)
    assert again["reasons"] == "FOREIGN_OLDER: 2"
    assert again["rows"] is None
    decided = xinguan.do("repair", "list", "--product", "foreign_credit_report")
    assert [(one["state"], one["origin"]) for one in decided] == [("WITHDRAWN", "FOREIGN_ISSUER")]


def test_a_status_that_turns_withdraws_at_once(xinguan, registered, bureau, tmp_path):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), bureau.status_list())
    kept = bureau.credential(bureau.claims(lei=OTHER_LEI, uen=None, index=8))
    xinguan.do("inbound", "admit", good, bureau.file(tmp_path, "b.sdjwt", kept))
    bureau.set(7, 3)
    fresh = bureau.file(tmp_path, "fresh.jwt", bureau.status_list(issued=bureau.now - 1))
    done = xinguan.do("inbound", "refresh", "--status", fresh)
    assert (done["confirmed"], done["withdrawn"], done["rows"]) == (1, 1, 1)
    assert states(xinguan) == ["ACTIVE"]
    stale = bureau.file(tmp_path, "stale.jwt", bureau.status_list(issued=bureau.now - 50))
    assert xinguan.do("inbound", "refresh", "--status", stale)["stale"] == 1  # older than one seen
    # It never comes back, by whatever list.
    bureau.set(7, 0)
    later = bureau.file(tmp_path, "later.jwt", bureau.status_list(issued=bureau.now))
    assert xinguan.do("inbound", "refresh", "--status", later)["rows"] == 1
    assert xinguan.do("inbound", "admit", good, "--status", later)["reasons"] == "FOREIGN_OLDER: 1"


def test_a_suspended_document_is_held_and_may_come_back(xinguan, registered, bureau, tmp_path):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), bureau.status_list())
    xinguan.do("inbound", "admit", good)
    bureau.set(7, 2)
    held = bureau.file(tmp_path, "held.jwt", bureau.status_list(issued=bureau.now - 2))
    assert xinguan.do("inbound", "refresh", "--status", held)["held"] == 1
    assert states(xinguan) == ["HELD"]
    assert xinguan.do("inbound", "refresh", "--status", held)["held"] == 1  # again: nothing new
    bureau.set(7, 0)
    back = bureau.file(tmp_path, "back.jwt", bureau.status_list(issued=bureau.now - 1))
    assert xinguan.do("inbound", "refresh", "--status", back)["confirmed"] == 1
    assert states(xinguan) == ["ACTIVE"]


def test_a_withdrawn_issuer_s_records_are_withdrawn(xinguan, registered, bureau, tmp_path):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), bureau.status_list())
    xinguan.do("inbound", "admit", good)
    done = xinguan.do("inbound", "issuer", "withdraw", BUREAU, "--reason", "key compromised")
    assert (done["state"], done["records_withdrawn"]) == ("withdrawn", 1)
    assert done["withdrawn_before"] is False
    assert states(xinguan) == []
    refused = xinguan("inbound", "check", good, "--json")
    assert (refused.code, refused.reason) == (2, "FOREIGN_ISSUER")
    assert json.loads(refused.out)[0]["code"] == "FOREIGN_ISSUER"
    assert xinguan.refuse("inbound", "issuer", "withdraw", "https://nobody.example") == "NOT_FOUND"


def test_a_withdrawal_that_broke_off_is_done_again_until_it_is_done(
    xinguan, registered, bureau, tmp_path
):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), bureau.status_list())
    xinguan.do("inbound", "admit", good)
    lock = xinguan.home / "gateway/inbound/lock"
    lock.unlink()
    lock.mkdir()  # the desk can't be held: the second step fails after the first is durable
    withdraw = ["inbound", "issuer", "withdraw", BUREAU]
    with pytest.raises((OSError, SystemExit)):
        main(withdraw)
    assert [row["state"] for row in xinguan.do("inbound", "issuer", "list")] == ["withdrawn"]
    assert states(xinguan) == ["ACTIVE"]
    lock.rmdir()
    done = xinguan.do(*withdraw)
    assert (done["state"], done["withdrawn_before"], done["records_withdrawn"]) == (
        "withdrawn",
        True,
        1,
    )
    assert states(xinguan) == []
    again = xinguan.do(*withdraw)
    assert (again["withdrawn_before"], again["records_withdrawn"]) == (True, 0)
    xinguan.do("audit", "integrate")
    entries = xinguan.do("audit", "entries", "--start", 0, "--count", 100)
    assert [entry["kind"] for entry in entries].count("issuer_withdrawn") == 1


def test_a_stale_document_is_not_served(xinguan, registered, bureau, tmp_path, monkeypatch):
    short = bureau.status_list(issued=bureau.now - 5, ttl=900)
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), short)
    assert xinguan.do("inbound", "admit", good)["rows"] == 1
    monkeypatch.setattr(console, "now", lambda: bureau.now + 901)
    done = xinguan.do("inbound", "refresh")
    assert (done["stale"], done["rows"]) == (1, 0)
    assert states(xinguan) == ["STALE"]


def test_nothing_of_a_firm_stands_in_the_log(xinguan, registered, bureau, tmp_path):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential(), bureau.status_list())
    xinguan.do("inbound", "admit", good)
    xinguan.do("audit", "integrate")
    entries = xinguan.do("audit", "entries", "--start", 0, "--count", 100)
    kinds = [entry["kind"] for entry in entries]
    assert "foreign_admitted" in kinds
    told = json.dumps(entries)
    for secret in ("Shipping", UEN, "46009900SYNTHETIC053", STATUS_URI):
        assert secret not in told
    # The grade is so short that a digest may hold its letters: it is looked for as a value.
    assert '"A1"' not in told
    assert xinguan("audit", "verify").code == 0


def test_a_holder_s_binding_needs_audience_and_nonce_together(
    xinguan, registered, tmp_path, bureau
):
    good = bureau.file(tmp_path, "a.sdjwt", bureau.credential())
    assert xinguan("inbound", "check", good, "--nonce", "n").code == 2
