"""`xinguan repair`, `feed` and `reconcile` on a deployment that no gateway serves."""

import json
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gateway.demo.stage import set_stage
from gateway.deployment import Deployment
from gateway.ingest.synth import synthesise
from gateway.repair.publicity import SCHEMA
from gateway.replicas import lease
from gateway.replicas.node_name import take_name
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.cli.conftest import Xinguan

UNIT = "11460099000000043A"


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A deployment with records, made once; each test works on records of its own."""
    home = tmp_path_factory.mktemp("repairs") / "home"
    set_stage(home, int(time.time()), companies=120)
    return home


@pytest.fixture
def xinguan(staged, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XINGUAN_HOME", str(staged))
    monkeypatch.chdir(tmp_path)
    return Xinguan(staged, capsys)


def snapshot_of(home, product="admin_penalty"):
    return SnapshotLibrary(Deployment.open(home).snapshots_directory).current(product)


def undecided(xinguan) -> list[str]:
    """Return public records that nothing was decided on yet."""
    snapshot = snapshot_of(xinguan.home)
    rows = snapshot.batch_rows(0)
    rows = rows[snapshot.shareable(rows, int(time.time()))]
    decided = {row["record"] for row in xinguan.do("repair", "list")}
    keys = snapshot.take(rows, ["record_id"]).column(0).to_pylist()
    return [key for key in keys if key not in decided]


def signed(xinguan, record: str, *words: object, out: str = "d.jws") -> dict:
    return xinguan.do(
        "repair", "sign", "--product", "admin_penalty", "--record", record, "--unit", UNIT,
        "--out", out, *words,
    )  # fmt: skip


def test_a_stranger_signs_publishes_and_looks_it_up(xinguan):
    record = undecided(xinguan)[0]
    told = signed(xinguan, record)
    done = xinguan.do("repair", "publish", "d.jws")
    assert (done["state"], done["withheld"], done["through"]) == ("REPAIRED", True, "state")
    again = xinguan.do("repair", "publish", "d.jws")
    assert (again["repeated"], again["entry"]) == (True, done["entry"])
    assert xinguan.entry(done["entry"])["kind"] == "repair"
    (row,) = [row for row in xinguan.do("repair", "list") if row["record"] == record]
    assert (row["state"], row["origin"], row["entry"]) == ("REPAIRED", "AUTHORITY", done["entry"])
    status = xinguan.do("repair", "status")
    (origin,) = [o for o in status["origins"] if o["origin"] == "AUTHORITY"]
    assert origin["newest_sequence"] >= told["sequence"]
    assert origin["measured"] >= 1
    assert origin["p99_ms"] >= origin["p50_ms"] >= 0
    assert status["unmeasured"] == 0
    states = {(row["product"], row["state"]): row["records"] for row in status["states"]}
    assert states["admin_penalty", "REPAIRED"] >= 1


def test_a_description_is_signed_too(xinguan, tmp_path):
    record = undecided(xinguan)[0]
    (tmp_path / "mask.yaml").write_text(
        f"product: admin_penalty\nrecord_id: {record}\nverdict: TEMP_MASK\norigin: COURT\n"
        f"ruling: SYN-1\nends_at: {int(time.time()) + 3_600}\ndeciding_unit: {UNIT}\n"
    )
    xinguan.do("repair", "sign", "mask.yaml", "--out", "m.jws")
    done = xinguan.do("repair", "publish", "m.jws")
    assert (done["state"], done["withheld"]) == ("TEMP_MASKED", True)


def test_what_is_bad_is_refused_and_its_alarm_listed(xinguan, tmp_path):
    record = undecided(xinguan)[0]
    before = len(xinguan.do("repair", "alarms"))
    signed(xinguan, record, "--origin", "COURT")
    assert xinguan.refuse("repair", "publish", "d.jws") == "ILLEGAL_DELETION"
    newest, *rest = xinguan.do("repair", "alarms")
    assert (newest["rule"], newest["code"], len(rest)) == ("R29", "ILLEGAL_DELETION", before)
    (tmp_path / "bad.jws").write_text("hello")
    assert xinguan.refuse("repair", "publish", "bad.jws") == "BAD_DOCUMENT"
    assert xinguan.refuse("repair", "sign", "--record", record) == "BAD_DOCUMENT"
    assert record in undecided(xinguan)


def test_a_lease_that_nobody_holds_any_more_is_not_waited_for(xinguan):
    """A process that died while it served: its lease lies there, and its name is free."""
    record = undecided(xinguan)[0]
    signed(xinguan, record)
    deployment = Deployment.open(xinguan.home)
    state = deployment.open_state()
    name = take_name(deployment.state_path.parent, "gone.1")
    state.run(
        lambda tx: lease.take(
            tx, node=name.name, holder=name.holder, place=name.place, term_ms=600_000, applied=0
        )
    )
    state.close()
    name.release()
    ran = xinguan("repair", "publish", "d.jws", "--json")
    assert ran.code == 0
    assert record not in undecided(xinguan)


def test_a_gateway_that_is_not_there_is_told(xinguan):
    signed(xinguan, undecided(xinguan)[0])
    ran = xinguan(
        "repair", "publish", "d.jws", "--gateway", "127.0.0.1:1",
        "--party", xinguan.home / "parties" / "authority", "--json",
    )  # fmt: skip
    assert (ran.code, ran.reason) == (1, "NO_GATEWAY")
    ran = xinguan(
        "repair", "publish", "d.jws", "--gateway", "127.0.0.1:1", "--party", "x", "--json"
    )
    assert (ran.code, ran.reason) == (2, "NO_KEY")


@pytest.fixture
def feed(xinguan, tmp_path):
    """A file feed in the settings, and the settings put back."""
    settings = Deployment.open(xinguan.home).directory / "xinguan.toml"
    text = settings.read_text()
    name = f"f{time.time_ns()}"
    settings.write_text(f'{text}\n[feeds.{name}]\nkind = "file"\npath = "{tmp_path}/feed.jsonl"\n')
    yield next(iter(Deployment.open(xinguan.home).settings.feeds))
    settings.write_text(text)


def test_a_feed_is_read_to_its_end(xinguan, feed, tmp_path):
    record = undecided(xinguan)[0]
    signed(xinguan, record)
    xinguan.do("feed", "append", "feed.jsonl", "d.jws")
    with (tmp_path / "feed.jsonl").open("a") as sink:
        sink.write("broken\n")
    assert xinguan.do("feed", "run", feed) == {"feed": feed, "applied": 1, "refused": 1}
    assert xinguan.do("feed", "run", feed) == {"feed": feed, "applied": 0, "refused": 0}
    (row,) = [row for row in xinguan.do("feed", "status") if row["feed"] == feed]
    assert (row["kind"], row["applied"], row["refused"], row["reader"]) == ("file", 1, 1, "")
    assert json.loads(row["position"])["line"] == 2
    (kept,) = xinguan.do("feed", "refused", "--feed", feed, "--content")
    assert (kept["place"], kept["code"], kept["content"]) == (
        "feed.jsonl:2",
        "BROKEN_LINE",
        "broken",
    )
    assert xinguan.refuse("feed", "run", "nosuch") == "NOT_FOUND"
    (tmp_path / "feed.jsonl").write_text("")
    ran = xinguan("feed", "run", feed, "--json")
    assert (ran.code, ran.reason) == (1, "FEED_REWOUND")


def publicity(home) -> pa.Table:
    snapshot = snapshot_of(home)
    batches = [snapshot.batch(number).rows for number in range(snapshot.batch_count)]
    table = pa.Table.from_batches(batches).select(SCHEMA.names).cast(SCHEMA)
    return table.filter(pc.equal(table.column("publicity_state"), "PUBLIC"))


def test_reconciling_reports_and_applies(xinguan, tmp_path):
    record = undecided(xinguan)[0]
    shown = publicity(xinguan.home)
    shown = shown.filter(pc.not_equal(shown.column("record_id"), record))
    pq.write_table(shown, "shown.parquet")
    xinguan.do("feed", "statement", "admin_penalty", "shown.parquet", "--unit", UNIT)
    words = ("reconcile", "admin_penalty", "shown.parquet")
    told = xinguan.do(*words, "--report-only", "--out", "differences.csv")
    assert (told["outcome"], told["differences"]) == ("REPORT_ONLY", {"MISSING_THERE": 1})
    assert (tmp_path / "differences.csv").read_text().splitlines()[1:] == [
        f'"{record}","MISSING_THERE"'
    ]
    assert record in undecided(xinguan)
    done = xinguan.do(*words)
    assert (done["outcome"], done["withheld_now"]) == ("DONE", 1)
    assert record not in undecided(xinguan)
    assert xinguan.do(*words) == done  # the same statement again
    xinguan.do("feed", "statement", "admin_penalty", "shown.parquet", "--unit", UNIT)
    before = undecided(xinguan)
    for more in (("--report-only",), ()):
        assert xinguan.refuse("reconcile", "judgement_debtor", "shown.parquet", *more) == (
            "BAD_REQUEST"
        )
    assert undecided(xinguan) == before
    assert xinguan("reconcile", "admin_penalty", "").code == 2
    assert xinguan("reconcile", "admin_penalty", "nothing.parquet").code == 2


def test_records_that_go_back_to_their_source(xinguan, tmp_path):
    """The source declares five years; it is withheld after the lawful end and never rewritten."""
    made = synthesise(tmp_path / "s", companies=60, seed=5, products=["admin_penalty"])
    table = pq.read_table(made.files["admin_penalty"].path)
    place = table.schema.get_field_index("publicity_end")
    late = pa.array(
        [d and d.replace(year=d.year + 5, day=1) for d in table["publicity_end"].to_pylist()]
    )
    pq.write_table(table.set_column(place, table.schema.field(place), late), "late.parquet")
    told = xinguan.do("load", "admin_penalty", "late.parquet", "--returns", "returns.csv")
    assert told["returned_to_source"] > 0
    lines = (tmp_path / "returns.csv").read_text().splitlines()
    assert lines[0] == '"record_id","publicity_end","lawful_end"'
    assert len(lines) == told["returned_to_source"] + 1
    newest = xinguan.do("repair", "alarms")[0]
    assert (newest["code"], newest["records"]) == ("PUBLICITY_OVERRUN", told["returned_to_source"])
    snapshot = snapshot_of(xinguan.home)
    record, declared, lawful = (part.strip('"') for part in lines[1].split(","))
    rows = snapshot.rows_of([record])
    kept = snapshot.take(rows, ["publicity_end"]).column(0)[0].as_py()
    assert declared == str(kept)
    assert declared > lawful


def test_a_feed_takes_signed_documents_and_assurances_of_the_past_only(xinguan, tmp_path):
    feed = tmp_path / "feed.jsonl"
    for content in (b"", b"\xff\xfe", b"not signed"):
        (tmp_path / "bad.jws").write_bytes(content)
        assert xinguan.refuse("feed", "append", feed, tmp_path / "bad.jws") == "BAD_DOCUMENT"
    assert not feed.exists()
    assure = ("feed", "assure", tmp_path / "a.jws", "--product")
    for words in (
        ('no"such', "--sequence", 1),
        ("admin_penalty", "--sequence", 1, "--as-of", "9999-12-31"),
        ("admin_penalty", "--sequence", 1, "--as-of", "0001-01-01"),
    ):
        assert xinguan.refuse(*assure, *words) == "BAD_DOCUMENT"
    assert xinguan(*assure, "admin_penalty", "--sequence", "9" * 23).code == 2
    assert not (tmp_path / "a.jws").exists()
    xinguan.do(*assure, "admin_penalty", "--sequence", 1)
    assert xinguan.do("feed", "append", feed, tmp_path / "a.jws", "--assurance")["appended"] == 1
