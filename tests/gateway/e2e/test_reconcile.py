"""Reconciliation of a running gateway with what a publicity authority shows (R11, R12)."""

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pytest_asyncio

from gateway.cli.descriptions import SHANGHAI
from gateway.config import Feed
from gateway.identity.keyfiles import new_document_key
from gateway.repair import reconcile, reconciliation
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.feeding import (
    UNIT,
    alarms,
    publicity_of,
    query,
    refusals,
    state_publicity,
    until,
    with_settings,
)
from tests.gateway.e2e.serving import PENALTY, Site, copy_stage
from tests.gateway.e2e.test_decisions import shared_records
from tests.gateway.e2e.wire import refused
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Window:
    """A publicity authority's window: a folder that a running gateway looks at."""

    def __init__(self, site: Site, folder, clock: Clock) -> None:
        self.site = site
        self.folder = folder
        self.clock = clock
        self.number = 0

    async def show(self, table: pa.Table, product: str = "admin_penalty", **claims):
        """State a publicity and return what the gateway made of it."""
        self.number += 1
        self.clock.ahead_s += 1  # statements are ordered by their time
        claims = {"product": product} | claims
        stem = self.folder / f"{self.number:04d}-{product}"
        digest = state_publicity(self.site.desk, table, stem, **claims)
        refused_here = f"{stem.name}.jws"

        def result():
            done = self.site.desk.state.run(lambda tx: reconciliation.find(tx, digest))
            return done or next((r for r in refusals(self.site) if r[0] == refused_here), None)

        return await until(result)


@pytest_asyncio.fixture(loop_scope="session")
async def window(stage, tmp_path):
    folder = tmp_path / "publicity"
    folder.mkdir()
    feeds = {"credit_china": Feed(kind="publicity", path=str(folder), poll_ms=20)}
    copied = with_settings(copy_stage(stage, tmp_path / "home"), feeds)
    clock = Clock()
    async with serve_site(copied, clock_ms=clock) as site:
        yield Window(site, folder, clock)


def without(table: pa.Table, *records: str) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table.column("record_id"), pa.array(records))))


def changed(table: pa.Table, record: str, name: str, value) -> pa.Table:
    place = table.schema.get_field_index(name)
    mask = pc.equal(table.column("record_id"), record)
    fresh = pc.if_else(mask, pa.scalar(value, table.schema.field(name).type), table.column(name))
    return table.set_column(place, table.schema.field(place), fresh)


def shared(site: Site) -> set[str]:
    return {record for _, record in shared_records(site)}


async def test_what_agrees_stays_and_the_product_is_fresh(window):
    site = window.site
    before = shared(site)
    window.clock.ahead_s = 500
    done = await window.show(publicity_of(site))
    assert (done.outcome, dict(done.differences), done.applied, done.released) == ("DONE", {}, 0, 0)
    assert shared(site) == before
    assert done.records > 10
    fresh = query(site, "SELECT as_of FROM feeds WHERE product = 'admin_penalty'")
    assert fresh == [(done.as_of,)]
    entry = site.entry(done.log_index)
    assert entry["kind"] == "publicity_reconciled"
    assert (entry["authority"], entry["records"], entry["differences"]) == (
        "CREDIT_CHINA", done.records, 0
    )  # fmt: skip
    assert alarms(site) == []


async def test_every_difference_is_withheld_at_once_and_released_when_it_agrees(window):
    site = window.site
    publicity = publicity_of(site)
    gone, other, later, repaired, ended, withdrawn = sorted(shared(site))[:6]
    end = dt.date(2031, 1, 1)
    shown = without(publicity, gone)
    for record, name, value in (
        (other, "content_hash", "0" * 64),
        (later, "publicity_end", end),
        (repaired, "publicity_state", "REPAIRED"),
        (ended, "publicity_state", "ENDED"),
        (withdrawn, "publicity_state", "WITHDRAWN"),
    ):
        shown = changed(shown, record, name, value)
    stranger = {"record_id": "unknown-here", "publicity_state": "PUBLIC"}
    extra = pa.Table.from_pylist([stranger], schema=shown.schema)
    before = shared(site)
    done = await window.show(pa.concat_tables([shown, extra]))
    assert dict(done.differences) == dict.fromkeys(
        ["MISSING_THERE", "OTHER_HASH", "OTHER_END", "REPAIRED_THERE", "ENDED_THERE",
         "WITHDRAWN_THERE", "MISSING_HERE"], 1
    )  # fmt: skip
    assert (done.applied, done.released) == (6, 0)
    held = {gone, other, later, repaired, ended, withdrawn}
    assert shared(site) == before - held
    assert ("R11", "PUBLICITY_DIFFERS") in alarms(site)
    states = dict(
        query(site, "SELECT record_key, CASE WHEN ended IS NULL THEN base ELSE ended END"
                    " FROM record_states")
    )  # fmt: skip
    assert states == dict.fromkeys((gone, other, later, ended), "QUARANTINED") | {
        repaired: "REPAIRED", withdrawn: "WITHDRAWN"
    }  # fmt: skip
    # Said again by a later statement, nothing is decided twice.
    again = await window.show(shown)
    assert (again.applied, again.released) == (0, 0)
    # It agrees again: what was held for that alone is shared again, what ended stays ended.
    healed = await window.show(publicity)
    assert (healed.applied, healed.released) == (0, 4)
    assert shared(site) == before - {repaired, withdrawn}


async def test_what_another_held_is_not_released_by_agreeing(window):
    site = window.site
    record = min(shared(site))
    stub = site.repairs(site.authority)
    decision = site.desk.repair("admin_penalty", record, verdict="HOLD")
    await stub.Publish(repair_pb2.PublishRequest(decision=decision))
    done = await window.show(publicity_of(site))
    assert done.released == 0
    assert record not in shared(site)


async def test_a_restart_keeps_what_was_withheld(stage, tmp_path):
    folder = tmp_path / "publicity"
    folder.mkdir()
    feeds = {"credit_china": Feed(kind="publicity", path=str(folder), poll_ms=20)}
    copied = with_settings(copy_stage(stage, tmp_path / "home"), feeds)
    async with serve_site(copied) as site:
        record = min(shared(site))
        await Window(site, folder, Clock()).show(without(publicity_of(site), record))
        assert record not in shared(site)
    async with serve_site(copied) as site:
        assert record not in shared(site)


async def test_a_statement_that_would_empty_the_product_suspends_it_by_name(window, monkeypatch):
    monkeypatch.setattr(reconcile, "_FEW", 5)
    site = window.site
    agency = site.desk.enrol()
    before = shared(site)
    empty = publicity_of(site).slice(0, 0)
    done = await window.show(empty)
    assert (done.outcome, done.applied) == ("SUSPENDED", 0)
    assert shared(site) == before  # nothing was decided on any record
    assert ("R11", "TOO_MANY_DIFFERENCES") in alarms(site)
    await refused(
        site,
        site.query(agency, "admin_penalty", PENALTY),
        "PRODUCT_UNAVAILABLE",
        "UNAVAILABLE",
        rule="R13",
        logged=False,
    )
    done = await window.show(publicity_of(site))
    assert done.outcome == "DONE"
    await site.query(agency, "admin_penalty", PENALTY)


async def test_bad_statements_are_refused_with_their_rule_and_change_nothing(window):
    site = window.site
    publicity, before = publicity_of(site), shared(site)
    cut = without(publicity, *sorted(before)[:2])
    now = site.desk.act.now
    cases = [
        ({"key": new_document_key()}, "BAD_SIGNATURE"),
        ({"authority": "OBJECTION"}, "ILLEGAL_DELETION"),
        ({"authority": "COURT_LIST"}, "ILLEGAL_DELETION"),
        ({"product": "legal_entity_base"}, "ILLEGAL_DELETION"),
        ({"as_of": now + 4_000}, "DECIDED_IN_FUTURE"),
        ({"sha256": "0" * 64}, "BAD_PUBLICITY"),
        ({"records": 1}, "BAD_PUBLICITY"),
    ]
    for claims, code in cases:
        result = await window.show(cut, **claims)
        assert result[2] == code, claims
    assert shared(site) == before
    done = await window.show(publicity)
    assert done.outcome == "DONE"
    stale = await window.show(cut, as_of=done.as_of - 1)
    assert stale[1:] == ("R25", "STALE_SEQUENCE")
    assert shared(site) == before


async def test_a_local_list_entry_without_a_receipt_is_an_alarm(window):
    site = window.site
    snapshot = site.world.library.current("serious_dishonesty_list")
    rows = [row for n in range(snapshot.batch_count) for row in snapshot.batch(n).rows.to_pylist()]
    now = site.desk.act.now
    week = dt.datetime.fromtimestamp(now, SHANGHAI).date() - dt.timedelta(7)
    due = [
        r
        for r, over in zip(rows, snapshot.expired(now).tolist(), strict=True)
        if r["local_list"] and not r["push_receipt_id"] and r["listed_on"] < week and not over
    ]
    await window.show(publicity_of(site, "serious_dishonesty_list"), "serious_dishonesty_list")
    found = query(site, "SELECT records FROM alarms WHERE code = 'NO_PUSH_RECEIPT'")
    assert [count for (count,) in found] == ([len(due)] if due else [])


async def test_an_outranked_authority_is_refused_at_the_door(window):
    """Whatever door a decision comes by, the table of precedence holds (R11)."""
    site = window.site
    record = min(shared(site))
    stub = site.repairs(site.authority)
    claims = {"origin": "ENTERPRISE_PUBLICITY", "verdict": "HOLD", "deciding_unit": UNIT}
    decision = site.desk.repair("admin_penalty", record, **claims)
    call = stub.Publish(repair_pb2.PublishRequest(decision=decision))
    await refused(site, call, "OUTRANKED", "ALREADY_EXISTS", rule="R11")
    assert record in shared(site)
