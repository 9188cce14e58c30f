"""Feeds of a running gateway: what comes in takes effect, and nothing that is bad does."""

import asyncio
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pytest_asyncio

from gateway.config import Feed
from gateway.identity.keyfiles import new_document_key
from gateway.registry.documents import sign
from gateway.repair.decision import REPAIR_TYPE, RepairClaims
from gateway.repair.feed_assembly import FeedAssembly
from gateway.repair.feed_runner import FeedRunner
from tests.conftest import ROOT
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.feeding import (
    alarms,
    append,
    assurance,
    file_feed,
    publicity_of,
    query,
    refusals,
    state_publicity,
    until,
    with_settings,
)
from tests.gateway.e2e.serving import PENALTY, Site, copy_stage
from tests.gateway.e2e.test_decisions import shared_records
from tests.gateway.repair.conftest import ChangeTable, postgres
from xinguan.client import Answer
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["postgres"]  # the fixture of the room's own tests


@pytest_asyncio.fixture(loop_scope="session")
async def fed(stage, tmp_path):
    """A gateway of this test alone that reads a file feed, and the file."""
    path = tmp_path / "decisions.jsonl"
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {"province": file_feed(path)})
    async with serve_site(copied) as site:
        yield site, path


async def shown(site: Site, who, subject: str) -> int:
    return Answer(await site.query(who, "admin_penalty", PENALTY, subjects=[subject])).outcome.rows


def record_of(site: Site) -> tuple[str, str]:
    """Return subject and id of a record that is its subject's only one."""
    found = shared_records(site)
    subjects = [subject for subject, _ in found]
    return next((s, r) for s, r in found if subjects.count(s) == 1)


def taken(site: Site, feed: str = "province") -> tuple[int, int]:
    rows = query(site, "SELECT applied, refused FROM repair_feeds WHERE feed = ?", feed)
    return rows[0] if rows else (0, 0)


async def test_a_decision_of_the_feed_is_gone_from_the_next_answer_and_measured(fed):
    site, path = fed
    agency = site.desk.enrol()
    subject, record = record_of(site)
    assert await shown(site, agency, subject) == 1
    decided_at = site.desk.act.now - 60
    append(path, site.desk.repair("admin_penalty", record, decided_at=decided_at))
    await until(lambda: taken(site) == (1, 0))
    assert await shown(site, agency, subject) == 0
    (entry,) = [e for e in site.entries() if e["kind"] == "repair"]
    assert (entry["actor"], entry["state"]) == ("feed:province", "REPAIRED")
    # The delay counts from the authority's decision, not from when the line was read.
    delays = await until(
        lambda: query(site, "SELECT origin, decided_at, effective_ms FROM repair_delays")
    )
    assert delays[0][:2] == ("AUTHORITY", decided_at)
    assert delays[0][2] - decided_at * 1000 >= 60_000


async def test_what_is_bad_is_kept_with_its_line_and_the_feed_goes_on(fed):
    site, path = fed
    (first, good), (_, other) = shared_records(site)[:2]
    stranger = new_document_key()
    claims = RepairClaims(repair_id="forged-1", origin="AUTHORITY", sequence=1,
                          product="admin_penalty", record_id=other, verdict="APPROVED",
                          deciding_unit="11460099000000043A", decided_at=1)  # fmt: skip
    signed = site.desk.repair("admin_penalty", other, sequence=10)
    path.write_text("{broken\n", encoding="ascii")
    append(path, "not.a.jws")
    append(path, sign(claims, stranger, REPAIR_TYPE))
    append(path, signed[:-8] + "AAAAAAAA")
    append(path, site.desk.repair("admin_penalty", "no-such-record"))
    append(path, site.desk.repair("admin_penalty", other, origin="REPUTATION_AGENT"))
    append(path, site.desk.repair("admin_penalty", good, sequence=100, repair_id="good-1"))
    append(path, site.desk.repair("admin_penalty", other, sequence=100))
    append(path, site.desk.repair("admin_penalty", good, sequence=101, verdict="ACCEPTED"))
    append(path, site.desk.repair("admin_penalty", good, sequence=102, repair_id="good-1"))
    await until(lambda: sum(taken(site)) == 10)
    assert taken(site) == (1, 9)
    assert sorted(refusals(site), key=lambda row: int(row[0].partition(":")[2])) == [
        ("decisions.jsonl:1", "GATE", "BROKEN_LINE"),
        ("decisions.jsonl:2", "GATE", "BAD_DOCUMENT"),
        ("decisions.jsonl:3", "GATE", "BAD_SIGNATURE"),
        ("decisions.jsonl:4", "GATE", "BAD_SIGNATURE"),
        ("decisions.jsonl:5", "GATE", "NOT_FOUND"),
        ("decisions.jsonl:6", "R29", "ILLEGAL_DELETION"),
        ("decisions.jsonl:8", "R25", "STALE_SEQUENCE"),
        ("decisions.jsonl:9", "R25", "CONTRADICTION"),
        ("decisions.jsonl:10", "GATE", "CONFLICT"),
    ]
    # Each is an alarm in the log, once; the records of the refused ones stand as before.
    raised = sorted(code for _, code in alarms(site))
    assert raised == sorted(code for _, _, code in refusals(site))
    assert query(site, "SELECT record_key FROM record_states") == [(good,)]
    assert (first, good) not in shared_records(site)
    assert other in {record for _, record in shared_records(site)}
    kept = query(site, "SELECT content FROM feed_refusals WHERE place = 'decisions.jsonl:1'")
    assert kept == [("{broken",)]


async def test_a_restart_reads_on_and_applies_nothing_twice(stage, tmp_path):
    path = tmp_path / "decisions.jsonl"
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {"province": file_feed(path)})
    async with serve_site(copied) as site:
        records = [record for _, record in shared_records(site)[:3]]
        append(path, site.desk.repair("admin_penalty", records[0]))
        await until(lambda: taken(site) == (1, 0))
        # As after a crash between the effect and the position: the same line again.
        site.desk.run(lambda tx, act: tx.execute("UPDATE repair_feeds SET position = ''"))
        append(path, site.desk.repair("admin_penalty", records[1]))
        await until(lambda: taken(site) == (3, 0))
        assert len([e for e in site.entries() if e["kind"] == "repair"]) == 2
    async with serve_site(copied) as site:
        append(path, site.desk.repair("admin_penalty", records[2]))
        await until(lambda: taken(site) == (4, 0))
        assert len([e for e in site.entries() if e["kind"] == "repair"]) == 3
        assert not {record for _, record in shared_records(site)} & set(records)
        assert alarms(site) == []


async def test_a_change_table_is_a_feed_too(stage, tmp_path, postgres):
    table = ChangeTable(postgres)
    dsn = tmp_path / "feed.dsn"
    dsn.write_text(table.dsn)
    dsn.chmod(0o600)
    feed = Feed(kind="table", dsn_file=str(dsn), table=table.name, poll_ms=20)
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {"platform": feed})
    async with serve_site(copied) as site:
        (_, record), (_, other) = shared_records(site)[:2]
        await asyncio.to_thread(table.write, site.desk.repair("admin_penalty", record))
        await asyncio.to_thread(table.write, "nonsense")
        await asyncio.to_thread(table.write, site.desk.repair("admin_penalty", other))
        await until(lambda: taken(site, "platform") == (2, 1))
        assert refusals(site) == [("row:2", "GATE", "BAD_DOCUMENT")]
        left = {found for _, found in shared_records(site)}
        assert record not in left
        assert other not in left


async def test_a_feed_that_is_not_what_it_was_stops_and_is_told_once(fed):
    site, path = fed
    append(path, site.desk.repair("admin_penalty", shared_records(site)[0][1]))
    await until(lambda: taken(site) == (1, 0))
    path.write_text("", encoding="ascii")
    await until(lambda: ("R13", "FEED_REWOUND") in alarms(site))
    await asyncio.sleep(0.3)
    assert alarms(site).count(("R13", "FEED_REWOUND")) == 1
    assert taken(site) == (1, 0)


async def test_two_processes_never_read_a_feed_at_once(fed):
    """A second runner on the same state stands by, and takes over when the first lets go."""
    site, path = fed
    world = site.world
    assembly = FeedAssembly(site.deployment, site.desk.state, site.gateway.publisher,
                            world.library, world.products, world.clock_ms)  # fmt: skip
    second = assembly.runner()
    await until(lambda: query(site, "SELECT holder FROM feed_leases WHERE feed = 'province'"))
    with pytest.raises(Exception, match="another process"):
        await second.run_once("province")
    holder = query(site, "SELECT holder FROM feed_leases WHERE feed = 'province'")
    append(path, site.desk.repair("admin_penalty", shared_records(site)[0][1]))
    await until(lambda: taken(site) == (1, 0))
    assert query(site, "SELECT holder FROM feed_leases WHERE feed = 'province'") == holder


async def test_a_reader_that_slept_past_its_lease_writes_nothing(fed):
    site, path = fed
    runner: FeedRunner = site.gateway.feeds
    await until(lambda: query(site, "SELECT token FROM feed_leases WHERE feed = 'province'"))
    # Another process took the feed over meanwhile; this one still believes in its token.
    site.desk.run(lambda tx, act: tx.execute(
        "UPDATE feed_leases SET token = token + 1, holder = 'other', expires = ?",
        (act.now + 3_600,),
    ))  # fmt: skip
    append(path, site.desk.repair("admin_penalty", shared_records(site)[0][1]))
    await asyncio.sleep(0.5)
    assert taken(site) == (0, 0)
    assert runner is not None
    # When that one is gone, the feed is read on; the decision is applied once.
    site.desk.run(lambda tx, act: tx.execute("UPDATE feed_leases SET expires = ?", (act.now - 1,)))
    await until(lambda: taken(site) == (1, 0))
    assert len([e for e in site.entries() if e["kind"] == "repair"]) == 1


async def test_an_assurance_keeps_a_product_fresh_when_nothing_is_missing(stage, tmp_path):
    clock = Clock()
    path = tmp_path / "decisions.jsonl"
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {"province": file_feed(path)})
    async with serve_site(copied, clock_ms=clock) as site:

        def as_of():
            ((found,),) = query(site, "SELECT as_of FROM feeds WHERE product = 'admin_penalty'")
            return found

        before = as_of()
        record = shared_records(site)[0][1]
        claims = {"origin": "CREDIT_CHINA", "sequence": 7}
        clock.ahead_s = 300
        append(path, assurance(site.desk, sequence=7), "assurance")
        await until(lambda: taken(site) == (0, 1))
        assert as_of() == before  # the decision with number 7 has not come
        append(path, site.desk.repair("admin_penalty", record, **claims))
        append(path, assurance(site.desk, sequence=7), "assurance")
        await until(lambda: taken(site) == (2, 1))
        assert as_of() == site.desk.act.now or as_of() > before + 290
        for words in (
            {"origin": "ENTERPRISE_PUBLICITY"},
            {"as_of": site.desk.act.now + 900},
            {"products": ("legal_entity_base",)},
            {"products": ("judgement_debtor",)},
        ):
            append(path, assurance(site.desk, sequence=7, **words), "assurance")
        await until(lambda: taken(site) == (2, 5))
        assert [code for _, _, code in refusals(site)].count("OUTRANKED") == 3


async def test_the_way_in_through_the_door_is_the_same(fed):
    """A decision that the feed brought says nothing new at the door, and the other way round."""
    site, path = fed
    record = shared_records(site)[0][1]
    token = site.desk.repair("admin_penalty", record)
    append(path, token)
    await until(lambda: taken(site) == (1, 0))
    stub = site.repairs(site.authority)
    answer = await stub.Publish(repair_pb2.PublishRequest(decision=token))
    assert answer.repeated_decision


async def command(site: Site, *words: str) -> dict:
    """Run the command line beside the gateway, as another process is."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from gateway.cli.main import main; main()", *words, "--json",
        "--home", str(site.deployment.root),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/proto"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(program.communicate(), 100)
    assert program.returncode == 0, err.decode()
    return json.loads(out)


async def test_the_command_line_goes_through_the_running_gateway(fed, tmp_path):
    """A decision by the door, and a publicity statement by the inbox: the gate sees both."""
    site, _ = fed
    (_, repaired), (_, unshown) = shared_records(site)[:2]
    (tmp_path / "d.jws").write_text(site.desk.repair("admin_penalty", repaired))
    told = await command(site, "repair", "publish", str(tmp_path / "d.jws"),
                         "--gateway", site.gateway.address)  # fmt: skip
    assert (told["state"], told["through"]) == ("REPAIRED", "gateway")
    shown = publicity_of(site)
    gone = pc.is_in(shown.column("record_id"), pa.array([repaired, unshown]))
    state_publicity(site.desk, shown.filter(pc.invert(gone)), tmp_path / "shown")
    done = await command(site, "reconcile", "admin_penalty", str(tmp_path / "shown.parquet"))
    assert (done["outcome"], done["withheld_now"]) == ("DONE", 1)
    left = {record for _, record in shared_records(site)}
    assert not left & {repaired, unshown}
    assert [path.name for path in site.deployment.inbox_directory.iterdir()] == []
