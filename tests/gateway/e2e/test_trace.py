"""A leaked copy names its delivery, or nobody: over real mutual TLS, from real answers."""

import asyncio
import csv
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from adbc_driver_manager import NotSupportedError

from arrow_flight import flight_pb2, flight_pb2_grpc
from audit.reader import LogReader
from gateway.cli.main import main
from gateway.demo.stage import COMPANIES
from gateway.release.marks import open_marks
from gateway.serving.border import open_store
from gateway.trace.leak import Leak, parse
from gateway.trace.places import CopyPlaces
from gateway.trace.tracer import Tracer
from tests.gateway.e2e.abroad import AS_PARTNER, bulk_stage, partner
from tests.gateway.e2e.adbc import fetch
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.test_decisions import shared_records
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = ("uscc", "name", "entity_type", "established_on", "reg_status", "industry_code")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(stage, tmp_path_factory):
    """A site with two partners that received the same records, twice each."""
    copied = bulk_stage(stage, tmp_path_factory.mktemp("trace") / "home")
    async with serve_site(copied) as site:
        first, second = (
            partner(site, FIELDS, COMPANIES),
            partner(site, FIELDS, COMPANIES),
        )
        subjects = companies(site)[:40]
        answers = {}
        for name, who in (("a", first), ("b", second), ("a2", first), ("b2", second)):
            answers[name] = await ask(site, who, subjects)
        yield site, answers, {"a": first, "b": second}


def companies(site) -> list[str]:
    """Return organisations that are shown, in an order that means nothing."""
    codes = sorted(
        {code for code, _ in shared_records(site, COMPANIES)}, key=lambda code: code[::-1]
    )
    assert len(codes) > 80
    return codes


async def ask(site, who, subjects, **words) -> Answer:
    query = {"subjects": list(subjects)} | AS_PARTNER | words
    return Answer(await site.query(who, COMPANIES, FIELDS, **query))


def trace(site, content: bytes, threshold: float = 1e-6):
    deployment, state = site.deployment, site.desk.state
    rows, beside = parse(content)
    connection = state.connect()
    try:
        return Tracer(
            connection,
            LogReader(deployment.log_directory, deployment.log_vkey),
            CopyPlaces(deployment.snapshots_directory, open_store(deployment, state)),
            open_marks(deployment.directory / deployment.settings.files.mark_key),
        ).trace(Leak(content + beside, tuple(rows)), threshold)
    finally:
        connection.close()


def as_json(rows) -> bytes:
    return json.dumps(rows, default=str, ensure_ascii=False).encode()


def as_csv(rows, names) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def arrow(answer: Answer, rows: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    table = answer.table().slice(0, rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet(answer: Answer) -> bytes:
    sink = io.BytesIO()
    pq.write_table(answer.table(), sink)
    return sink.getvalue()


def names_only(traced, answer: Answer, party: str, how: str) -> None:
    assert traced.verdict == "named"
    (found,) = traced.named
    assert (found.request, found.party) == (answer.decision.request_id, party)
    assert how in found.how
    assert found.bound <= 1e-6


async def test_copies_as_they_came_name_their_delivery_by_its_mark(place):
    site, answers, members = place
    for key in ("a", "b"):
        for content in (
            arrow(answers[key]),
            arrow(answers[key], 1),
            parquet(answers[key]),
            as_json({"mark": answers[key].mark, "rows": answers[key].rows()}),
        ):
            names_only(trace(site, content), answers[key], members[key].party_id, "text")
    entry = site.entry(trace(site, arrow(answers["a"])).named[0].intent)
    assert entry["request"] == answers["a"].decision.request_id


@pytest.mark.parametrize("key", ["a", "b", "a2", "b2"])
async def test_without_the_mark_the_order_of_rows_and_fields_names_it(place, key):
    site, answers, members = place
    rows, party = answers[key].rows(), members[key[0]].party_id
    names_only(trace(site, as_json(rows)), answers[key], party, "rows")
    # Other columns' order, half of the columns, no head: the rows are enough.
    names_only(trace(site, as_csv(rows, ["name", "uscc"])), answers[key], party, "rows")
    headless = as_csv(rows, ["name", "uscc"]).split(b"\n", 1)[1]
    names_only(trace(site, headless), answers[key], party, "rows")
    # Half of the rows, and one row put elsewhere.
    part = rows[5:25]
    part.insert(2, part.pop(9))
    names_only(trace(site, as_csv(part, sorted(FIELDS))), answers[key], party, "rows")


@pytest.mark.parametrize("key", ["a", "b"])
async def test_many_single_rows_in_any_order_name_their_party(place, key):
    site, _, members = place
    member = members[key]
    leaked = []
    for subject in companies(site)[40:50]:
        leaked += (await ask(site, member, [subject])).rows()
        await ask(site, members["b" if key == "a" else "a"], [subject])
    random.Random(3).shuffle(leaked)  # noqa: S311 - a test's own disorder
    traced = trace(site, as_json(leaked))
    assert traced.verdict == "named"
    (found,) = traced.parties
    assert found.party == member.party_id
    assert found.matched == 10
    assert traced.named == []  # one row alone is not enough to name its delivery


async def test_sorted_or_few_rows_name_nobody_and_say_so(place):
    site, answers, members = place
    rows = sorted(answers["a"].rows(), key=lambda row: row["uscc"])
    sorted_csv = as_csv(rows, sorted(FIELDS))
    traced = trace(site, sorted_csv)
    assert (traced.verdict, traced.named, traced.parties) == ("cannot_tell", [], [])
    assert {each.party for each in traced.candidates} == {
        member.party_id for member in members.values()
    }
    assert traced.known == len(rows)
    few = as_csv(answers["a"].rows()[:4], ["uscc", "name"])
    assert trace(site, few).verdict == "cannot_tell"


async def test_what_was_never_delivered_abroad_is_unknown(place):
    site, _, _ = place
    agency = site.desk.enrol()
    subject = companies(site)[60]
    home = Answer(await site.query(agency, subjects=[subject]))
    traced = trace(site, as_json(home.rows()))
    assert (traced.verdict, traced.candidates) == ("unknown", [])
    assert trace(site, b"[]").verdict == "unknown"


async def test_a_mark_that_is_forged_or_put_on_other_records_accuses_nobody(place):
    site, answers, members = place
    mark = answers["a"].mark
    forged = mark[:-4] + ("AAAA" if not mark.endswith("AAAA") else "BBBB")
    traced = trace(site, as_json({"mark": forged, "rows": []}))
    assert (traced.verdict, traced.forged) == ("unknown", 1)
    other = await ask(site, members["b"], [companies(site)[70]])
    traced = trace(site, as_json({"mark": mark, "rows": other.rows()}))
    assert traced.verdict == "cannot_tell"
    assert traced.misplaced == [answers["a"].decision.request_id]


async def test_nobody_is_named_for_orders_that_others_made_up(place):
    """No false accusation: four deliveries, many orders, a threshold that would show one."""
    site, answers, _ = place
    rows, chance = answers["a"].rows(), random.Random(7)  # noqa: S311 - as above
    named = 0
    for _ in range(60):
        mixed = chance.sample(rows, 12)
        names = chance.sample(FIELDS, len(FIELDS))
        told = trace(site, as_csv(mixed, ["uscc", *[n for n in names if n != "uscc"]]), 1e-3)
        named += bool(told.named or told.parties)
    assert named <= 1  # 60 tries at a bound of 1e-3 each: two happen less than once in 600


async def test_values_never_stand_in_the_log(place):
    site, answers, _ = place
    trace(site, as_json(answers["a"].rows()))
    log = b"".join(site.bodies())
    for row in answers["a"].rows()[:5]:
        assert row["uscc"].encode() not in log
        assert row["name"].encode() not in log
    assert answers["a"].mark.encode() not in log


async def test_the_command_tells_people_and_machines(place, tmp_path, capsys):
    site, answers, _ = place
    copy = tmp_path / "leaked.json"

    def run(content: bytes) -> tuple[int, dict]:
        copy.write_bytes(content)
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["trace", str(copy), "--home", str(site.deployment.root), "--json"])
        return int(caught.value.code or 0), json.loads(capsys.readouterr().out)

    code, told = run(as_json(answers["a"].rows()))
    assert (code, told["verdict"]) == (0, "named")
    (named,) = told["named"]
    assert named["request"] == answers["a"].decision.request_id
    assert site.entry(named["entry"])["kind"] == "intent"
    assert 0 < named["false_positive_bound"] <= told["bound"] == 1e-6
    code, told = run(as_csv(answers["a"].rows()[:3], ["uscc"]))
    assert (code, told["verdict"]) == (1, "cannot_tell")
    assert "can't be told" in told["means"]
    assert site.entries()[-1]["what"] == "trace"


async def test_over_flight_rows_and_text_are_marked_and_no_order_is_promised(place):
    site, _, members = place
    who = members["a"].identity
    codes = ", ".join(f"'{code}'" for code in companies(site)[:30])
    statement = f"SELECT uscc, name FROM {COMPANIES} WHERE uscc IN ({codes})"
    table = await asyncio.to_thread(fetch, site, who, statement, **AS_PARTNER)
    assert table.num_rows == 30
    rows = as_csv(table.to_pylist(), ["name", "uscc"])
    traced = trace(site, rows)
    (found,) = traced.named
    assert found.party == members["a"].party_id
    assert "rows" in found.how
    with pytest.raises(NotSupportedError):
        await asyncio.to_thread(fetch, site, who, f"{statement} ORDER BY uscc", **AS_PARTNER)
    # The stock driver keeps no metadata of schemas; on the wire the text is there.
    query = site.build(members["a"], COMPANIES, FIELDS, subjects=companies(site)[:3], **AS_PARTNER)
    stub = flight_pb2_grpc.FlightServiceStub(site.channel(members["a"]))
    command = flight_pb2.FlightDescriptor.CMD
    info = await stub.GetFlightInfo(
        flight_pb2.FlightDescriptor(type=command, cmd=query.SerializeToString())
    )
    async for message in stub.DoGet(info.endpoint[0].ticket):
        found, forged = site.world.marks.find(message.data_header)
        break
    assert (len(found), forged) == (1, 0)
