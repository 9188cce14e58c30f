"""Declarations, alarms, reconciliation and what the books tell; on both databases."""

import json

import pytest

from audit import acts, entries
from audit.journal import Transaction
from gateway.border import counters_declared as declared
from gateway.border import counters_report as reports
from gateway.border.counters_declared import DECLARATION_TYPE, DeclarationClaims
from gateway.border.counters_items import Settlement
from gateway.border.counters_law import Ceilings
from gateway.border.counters_reconcile import open_exports, settle_open
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError
from gateway.identity.keyfiles import new_document_key
from gateway.registry import document_keys, parties
from gateway.registry.act import Act
from gateway.registry.documents import BadDocumentError, BadSignatureError, sign
from tests.gateway.border.counters.conftest import (
    EXPORTER,
    LAW,
    NOW,
    ORDINARY,
    PARTY,
    SENSITIVE,
    YEAR,
)
from tests.simulator import uscc

ACT = Act(NOW, "n")
DAY_S = 86_400


@pytest.fixture
def key(books):
    def enrol(party_id: str):
        made = new_document_key()
        wanted = parties.registration(party_id, "机构", "AGENCY")
        books.state.run(lambda tx: parties.register(tx, wanted, ACT))
        books.state.run(lambda tx: document_keys.register(tx, party_id, made.public_key(), ACT))
        return made

    return enrol


def stated(**words) -> DeclarationClaims:
    plain = {
        "exporter": f"uscc:{uscc(1)}",
        "year": YEAR,
        "kind": "sensitive",
        "version": 1,
        "persons": 7_000,
        "as_of": NOW - DAY_S,
    }
    return DeclarationClaims(**(plain | words))


def hand_in(books, claims, key, act=ACT, typ=DECLARATION_TYPE):
    document = sign(claims, key, typ)
    return books.state.run(lambda tx: declared.declare(tx, document, act, LAW))


def of_kind(books, kind):
    rows = books.rows("SELECT body FROM audit_entry ORDER BY position")
    return [each for (body,) in rows if (each := json.loads(body))["kind"] == kind]


def test_what_is_declared_is_added_and_the_latest_holds(books, key) -> None:
    exporter = stated().exporter
    mine = key(exporter)
    assert hand_in(books, stated(), mine).index == books.standing(exporter=exporter).index
    books.post_now(books.reservation(["p"], exporter=exporter))
    assert books.totals(exporter) == (0, 7_001)
    hand_in(books, stated(version=2, persons=8_500, as_of=NOW), mine)
    assert books.totals(exporter) == (0, 8_501)
    hand_in(books, stated(version=3, persons=100, as_of=NOW), mine)
    assert books.totals(exporter) == (0, 101)
    hand_in(books, stated(kind="ordinary", persons=5), mine)
    assert books.totals(exporter) == (5, 101)
    told = of_kind(books, "export_declared")
    assert [(each["class"], each["version"], each["persons"]) for each in told] == [
        ("sensitive", 1, 7_000), ("sensitive", 2, 8_500), ("sensitive", 3, 100),
        ("ordinary", 1, 5),
    ]  # fmt: skip
    codes = [each["code"] for each in of_kind(books, "alarm")]
    assert codes == ["EXPORT_SENSITIVE_10000_80", "EXPORT_DECLARATION_LOWERED"]


def test_a_declaration_at_fault_is_refused_and_changes_nothing(books, key) -> None:
    mine, other = key(stated().exporter), key(f"uscc:{uscc(2)}")
    hand_in(books, stated(), mine)
    faults = [
        (stated(version=2), other, DeniedError),
        (stated(version=2), new_document_key(), BadSignatureError),
        (stated(version=1), mine, ConflictError),
        (stated(version=3), mine, ConflictError),
        (stated(version=2, as_of=NOW - 2 * DAY_S), mine, ConflictError),
        (stated(version=2, as_of=NOW + 1), mine, InvalidRequestError),
        (stated(version=1, year=YEAR - 1), mine, InvalidRequestError),
    ]
    for claims, signer, error in faults:
        with pytest.raises(error):
            hand_in(books, claims, signer)
    with pytest.raises(BadDocumentError):
        hand_in(books, stated(version=2), mine, typ="xinguan-approval+jwt")
    assert books.totals(stated().exporter) == (0, 7_000)
    assert len(of_kind(books, "export_declared")) == 1


def test_alarms_are_raised_once_a_year_each_and_logged(books) -> None:
    books.fill(SENSITIVE, 7_998)
    first = books.reservation(["a", "b"])
    intent = books.post_now(first)
    (alarm,) = of_kind(books, "alarm")
    assert (alarm["rule"], alarm["code"]) == ("R64", "EXPORT_SENSITIVE_10000_80")
    assert (alarm["records"], alarm["cause"], alarm["actor"]) == (8_000, intent, EXPORTER)
    books.post_now(Settlement(intent, first, sent=False))
    assert books.totals() == (0, 7_998)
    books.post_now(books.reservation(["c", "d", "e"]))
    assert len(of_kind(books, "alarm")) == 1
    listed = books.rows("SELECT rule, code, records FROM alarms")
    assert listed == [("R64", "EXPORT_SENSITIVE_10000_80", 8_000)]


def intent_of(books, persons, *, party=PARTY, kinds=(SENSITIVE,), ceilings=None):
    """Write an intent as the road does: its entry, its request and its export."""
    wanted = books.reservation(persons, *kinds, party=party, ceilings=ceilings or Ceilings())
    index = books.post_now(wanted)
    numbers = [sum(p[2] == kind.value for p in wanted.persons) for kind in (ORDINARY, SENSITIVE)]

    def rows(tx: Transaction) -> None:
        tx.execute(
            "INSERT INTO exports (intent, begun_at, exporter, year, party, country, product,"
            " purpose, fields, mechanism, mechanism_kind, basis, whitelist, ordinary, sensitive)"
            " VALUES (?, ?, ?, ?, ?, 'SG', 'golden_coconut_score', 'TRADE', '[\"band\"]',"
            " 'SCC-1', 'SCC', '', 3, ?, ?)",
            (index, NOW, EXPORTER, YEAR, party, *numbers),
        )

    books.state.run(rows)
    return index, wanted


def evidence_of(books, intent, rows):
    """Write the evidence of a batch, as a stream does before the batch leaves."""

    def job(tx: Transaction) -> None:
        digest = bytes(32)
        entry = entries.batch(
            time=NOW, node="n", intent=intent, number=0, rows=rows, content=digest,
            delivered=digest,
        )  # fmt: skip
        tx.execute(
            "INSERT INTO intent_entries (intent, entry, kind) VALUES (?, ?, 'batch')",
            (intent, tx.append(entry).index),
        )

    books.state.run(job)


def ended(books, index, wanted, *, left=True, records=2):
    outcome = books.post_now(Settlement(index, wanted, left))

    def rows(tx: Transaction) -> None:
        tx.execute(
            "INSERT INTO export_outcomes (intent, outcome, status, released, records, bytes)"
            " VALUES (?, ?, 'delivered', ?, ?, 900)",
            (index, outcome, int(left), records),
        )

    books.state.run(rows)


def test_a_crashed_intent_counts_until_reconciled_and_only_evidence_keeps_it(books) -> None:
    nothing, _ = intent_of(books, ["p", "q"])
    begun, _ = intent_of(books, ["q", "r"])
    evidence_of(books, begun, 5)
    assert books.totals() == (0, 3)
    assert [each.intent for each in books.state.run(open_exports)] == [nothing, begun]
    assert {each.node for each in books.state.run(open_exports)} == {"n"}
    done = books.state.run(lambda tx: settle_open(tx, [nothing, begun, 99], ACT))
    assert (done.released, done.sent) == ((nothing,), (begun,))
    assert books.totals() == (0, 2)
    (entry,) = of_kind(books, "export_settled")
    assert (entry["released"], entry["sent"]) == ([nothing], [begun])
    outcomes = books.rows("SELECT intent, status, released, records FROM export_outcomes")
    assert outcomes == [(nothing, "reconciled", 0, 0), (begun, "reconciled", 1, 5)]
    # Once is enough, and it stays so.
    again = books.state.run(lambda tx: settle_open(tx, [nothing, begun], ACT))
    assert (again.released, again.sent) == ((), ())
    assert books.totals() == (0, 2)
    assert books.state.run(open_exports) == []


def test_the_annex_tells_what_went_where(books) -> None:
    ended(books, *intent_of(books, ["p", "q"], kinds=(ORDINARY, SENSITIVE)))
    ended(books, *intent_of(books, ["p"]))
    ended(books, *intent_of(books, ["p"], party="reg:SG:B"), records=0)
    ended(books, *intent_of(books, ["z"]), left=False, records=0)
    intent_of(books, ["open"])
    (annex,) = books.state.run(lambda tx: reports.annexes(tx, LAW, YEAR, NOW))
    assert annex.exporter == EXPORTER
    assert annex.recipients == {
        PARTY: {"ordinary": 2, "sensitive": 2}, "reg:SG:B": {"sensitive": 1},
    }  # fmt: skip
    assert [(line.party, line.requests, line.sensitive, line.records) for line in annex.lines] == [
        (PARTY, 2, 3, 4), ("reg:SG:B", 1, 1, 0),
    ]  # fmt: skip
    line = annex.lines[0]
    assert (line.fields, line.mechanism, line.mechanism_kind) == (("band",), "SCC-1", "SCC")
    assert (line.country, line.product, line.whitelist) == ("SG", "golden_coconut_score", 3)
    assert (annex.deliveries, annex.nothing_left, annex.unsettled) == (5, 1, 1)
    assert {count.kind: (count.own, count.held) for count in annex.counts} == {
        ORDINARY: (2, 0), SENSITIVE: (3, 1),
    }  # fmt: skip
    assert books.state.run(lambda tx: reports.annexes(tx, LAW, YEAR - 1, NOW)) == []
    assert books.state.run(lambda tx: reports.annexes(tx, LAW, YEAR, NOW, "uscc:other")) == []


def test_the_status_tells_the_pace(books) -> None:
    for day in range(4, 0, -1):
        wanted = books.reservation([f"{day}-{n}" for n in range(250)], at=NOW - day * DAY_S)
        books.post_now(wanted)
    books.state.run(lambda tx: tx.append(acts.node_stopped(time=NOW, node="n", reason="x")))
    (count,) = books.state.run(lambda tx: reports.counts(tx, LAW, YEAR, NOW))
    first, second = count.near
    assert (count.total, count.held) == (1_000, 1_000)
    assert (first.threshold, first.per_cent) == (1, 100_000)
    assert (second.threshold, second.per_cent) == (10_000, 10)
    # 250 a day from 24 November on: 36 more days.
    assert second.reached_on == "2026-12-30"
    later = books.state.run(lambda tx: reports.counts(tx, LAW, YEAR, NOW + 2 * DAY_S))
    assert later[0].near[1].reached_on == ""  # 167 a day: not this year
