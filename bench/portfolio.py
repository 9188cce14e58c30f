"""Portfolios over Arrow Flight: from the upload to the last row, and what others feel of it.

    python -m bench.portfolio [--subjects 10000] [--records 500000] [--large 100000] [--json]
    python -m bench.portfolio --subjects 100000 --records 5000000 --large 1000000 --data DIR
    python -m bench.portfolio --subjects 100000 --records 5000000 --data DIR --postgres

A gateway in a process of its own, the whole road, pyarrow's own client over mutual TLS.
(a) Features: a portfolio with an observation date for each subject is uploaded, planned (which
computes it from the records, point in time) and read to its last row. The target is stated for
100,000 subjects over 5 M records (under 10 s). (b) Records: a large portfolio without dates, most
of whose codes have no record, is uploaded, planned and read. Beside (b) another caller asks about
one company again and again; what it waits for at most is what the event loop and the journal leave
it. The baseline of (b) is the same gateway made to commit to a whole portfolio in one entry, one
transaction: as it was before portfolios were read in parts.

`--data` keeps the synthetic records, so that another run needs not make them. With `--postgres`
they lie in the tables of a PostgreSQL server of our own, filled with COPY, and the gateway's
snapshots are spooled from there by the adapter and the road of `xinguan load`; how long that took
is told by itself, as it is done once and not for each portfolio.
"""

import argparse
import asyncio
import gc
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import flight

from bench.features import BASE, PRODUCTS, prepare
from bench.flight import Memory, connect, start
from bench.machine import machine
from bench.records_in_postgres import fill, load, server
from bench.table import Row, print_rows
from gateway.demo.cast import BANK
from gateway.demo.stage import Stage, license_player, set_stage
from gateway.deployment import Deployment
from gateway.ingest.synth_draws import fixed_texts
from gateway.portfolio.build import Workshop, today_of
from gateway.portfolio.definitions import FEATURES, load_definitions
from gateway.portfolio.subjects import checked
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.registry import Registry
from gateway.release import pace
from gateway.server import Gateway
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from xinguan.client import Client, Identity
from xinguan.v1 import exchange_pb2, types_pb2

TARGET_S, TARGET_SUBJECTS, TARGET_RECORDS = 10.0, 100_000, 5_000_000
FIELDS = (
    "uscc", "observed_on", "penalties_12m", "serious_penalties_36m", "serious_list_hit",
    "active_licences", "licences_expiring_90d", "commitment_fulfilment_ratio", "grade",
    "months_since_registration",
)  # fmt: skip
WORDS = {
    "purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN", "operator": "bench",
    "case_reference": "bench",
}  # fmt: skip
_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_TICKS = 100  # clock ticks of a second in /proc


def unknown_codes(count: int) -> Any:
    """Return well-formed codes of the synthetic region that no record has."""
    numbers = np.arange(count)
    text = np.frombuffer(b"91460099ZZ0000000", np.uint8)
    codes = np.tile(text, (count, 1)).copy()
    for place in range(16, 9, -1):
        codes[:, place] = _ALPHABET[numbers % 10]
        numbers = numbers // 10
    codes[:, 8:10] = np.frombuffer(b"YY", np.uint8)
    value = np.zeros(256, np.int64)
    value[_ALPHABET] = np.arange(31)
    weights = np.array([pow(3, place, 31) for place in range(17)])
    check = (31 - value[codes] @ weights % 31) % 31
    return fixed_texts(np.column_stack((codes, _ALPHABET[check])))


def set_up(
    root: Path, data: Path, given: argparse.Namespace, dsn: str = ""
) -> tuple[Stage, dict[str, float]]:
    """Make a deployment that serves the synthetic records, its bank licensed for features.

    Args:
        root: Where it will be.
        data: Where the synthetic records are, or will be.
        given: How many, unless they are there.
        dsn: A database through which they come; without one their snapshots are copied.

    Returns:
        The deployment, and with a database the seconds of filling it and of loading from it.
    """
    now = int(time.time())
    stage = set_stage(root, now, companies=200)
    deployment = stage.deployment
    with (deployment.directory / "xinguan.toml").open("a") as settings:
        settings.write("\n[limits]\ncalls_per_second = 1000000\nrows_per_day = 1000000000000\n")
    if not (data / f"{BASE}.snapshot").exists():
        data.mkdir(parents=True, exist_ok=True)
        prepare(data, given.subjects, given.records, now)
    # The stage's own records have ids like these, and an older version of a record is not taken.
    for name in (BASE, *PRODUCTS):
        shutil.rmtree(deployment.snapshots_directory / name, ignore_errors=True)
    library = SnapshotLibrary(deployment.snapshots_directory)
    made = {name: Snapshot.open(data / f"{name}.snapshot") for name in (BASE, *PRODUCTS)}
    state, catalogue, spooled = deployment.open_state(), Catalogue.load(), dict[str, float]()
    products = {name: catalogue.product(name) for name in made}
    try:
        act = Act(now, "bench")
        if dsn:
            spooled["fill_s"] = fill(dsn, {name: (products[name], made[name]) for name in made})
            began = time.perf_counter()
            load(dsn, state, library, products, Act(int(time.time()), "bench"))
            spooled["load_s"] = time.perf_counter() - began
            act = Act(int(time.time()), "bench")  # feeds are of now, however long it took
        for name, found in made.items() if not dsn else ():
            place = deployment.snapshots_directory / name / found.snapshot_id
            shutil.copytree(data / f"{name}.snapshot", place)
            library.activate(name, found.snapshot_id)
        bank = replace(BANK, key="bank2", grants=((FEATURES, FIELDS),), pseudonymous=frozenset())
        state.run(lambda tx: license_player(deployment, tx, bank, act))
        for name in PRODUCTS:
            if catalogue.product(name).feed_limit_s:
                state.run(lambda tx, name=name: feeds.reconciled(tx, name, act.now, act))
        registry = Registry(state)
        library = SnapshotLibrary(
            deployment.snapshots_directory,
            lambda name: sealed_keys(state, name),
            prepare=lambda snapshot: prepare_snapshot(state, snapshot),
        )
        shop = Workshop(state, library, registry.view(), catalogue, load_definitions(catalogue))
        base = library.current(BASE)
        assert base is not None
        some = base.batch(0).rows.column("uscc").to_pylist()[:50]
        shop.build(checked(some, None, today_of(now)), act)  # binds the product to its feeds
        registry.close()
    finally:
        state.close()
    return stage, spooled


def serve(root: str, portions: int, pipe: Connection) -> None:
    """Serve the deployment, committing to at least so many portions in one entry."""
    pace.LEAST, pace.MOST = portions, max(portions, pace.MOST)

    async def serving() -> None:
        async with Gateway(Deployment.open(Path(root)), listen="127.0.0.1:0") as gateway:
            gc.freeze()  # as `xinguan serve` does
            gc.set_threshold(50_000, 20, 50)
            pipe.send(gateway.address)
            await gateway.wait()

    asyncio.run(serving())


class Probe:
    """Another caller, who asks about one company every twentieth of a second."""

    def __init__(self, address: str, who: Identity, subject: str) -> None:
        self.worst_ms, self.asked, self.refused = 0.0, 0, Counter[str]()
        self._stop = threading.Event()
        self._words = (address, who, subject)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    async def _run(self) -> None:
        address, who, subject = self._words
        async with Client(address, who, sign=False) as client:
            while not self._stop.is_set():
                began = time.perf_counter()
                try:
                    await client.query(BASE, ("uscc", "name"), subjects=[subject], **WORDS)
                except Exception as error:  # noqa: BLE001 - counted, whatever it was
                    self.refused[getattr(error, "code", type(error).__name__)] += 1
                self.asked += 1
                self.worst_ms = max(self.worst_ms, (time.perf_counter() - began) * 1000)
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()


def cpu_of(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def query_of(address: str, who: Identity, product: str, fields: Any) -> Any:
    """Return the query of a reading, by a client of our own that is closed again."""
    async with Client(address, who, sign=False) as maker:
        return maker.build_query(product, fields, **WORDS)


def timed(
    served: Any, address: str, who: Identity, table: pa.Table, product: str, fields: Any,
    keep: list[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Upload, plan and read; return the seconds of each step, and in `keep` what was read."""
    query = asyncio.run(query_of(address, who, product, fields))
    command = exchange_pb2.PortfolioUpload(subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY)
    began, cpu = time.perf_counter(), cpu_of(served.pid)
    with connect(address, who) as client:
        upload = flight.FlightDescriptor.for_command(command.SerializeToString())
        writer, answers = client.do_put(upload, table.schema)
        writer.write_table(table, max_chunksize=65_536)
        writer.done_writing()
        receipt = exchange_pb2.PortfolioReceipt.FromString(answers.read().to_pybytes())
        writer.close()
        put_s = time.perf_counter() - began
        query.portfolio = receipt.portfolio
        wanted = flight.FlightDescriptor.for_command(query.SerializeToString())
        info = client.get_flight_info(wanted)
        plan_s = time.perf_counter() - began - put_s
        rows, first_s = 0, 0.0
        for endpoint in info.endpoints:
            for chunk in client.do_get(endpoint.ticket):
                first_s = first_s or time.perf_counter() - began - put_s - plan_s
                rows += chunk.data.num_rows if chunk.data is not None else 0
                if keep is not None and chunk.data is not None:
                    keep.append(chunk.data)
        total_s = time.perf_counter() - began
    summary = exchange_pb2.DecisionSummary.FromString(info.app_metadata)
    return {
        "subjects": receipt.subjects,
        "rows": rows,
        "endpoints": len(info.endpoints),
        "put_s": put_s,
        "plan_s": plan_s,
        "first_row_s": first_s,
        "get_s": total_s - put_s - plan_s,
        "total_s": total_s,
        "server_cpu_s": cpu_of(served.pid) - cpu,
        "hit_rate": summary.coverage.portfolio.hit_rate,
        "coverage": dict(summary.coverage.portfolio.sources),
    }


def measure(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    """Measure features, then records in parts, then records in one entry."""
    who, root = stage.identity(BANK), str(stage.deployment.root)
    library = SnapshotLibrary(stage.deployment.snapshots_directory)
    base = library.current(BASE)
    assert base is not None
    batches = [base.batch(n).rows.select(["uscc"]) for n in range(base.batch_count)]
    codes: Any = pa.Table.from_batches(batches).column(0).unique()
    records = base.rows
    for name in PRODUCTS:
        found = library.current(name)
        records += 0 if found is None else found.rows
    days = today_of(int(time.time())) - np.random.default_rng(1).integers(0, 700, len(codes))
    dated = pa.table(
        {"subject": codes, "observed_on": pa.array(days.astype(np.int32)).cast(pa.date32())}
    )
    large = pa.concat_arrays([codes, unknown_codes(max(0, given.large - len(codes)))])
    row: dict[str, Any] = {"records": records}
    for case, portions in (("parts", 1), ("one_entry", 1 << 20)):
        served, address = start(serve, root, portions)
        try:
            if case == "parts":
                memory = Memory(served.pid)
                row["features"] = timed(served, address, who, dated, FEATURES, FIELDS)
                row["features"]["peak_mib"] = memory.stop()
            if given.skip_baseline and case == "one_entry":
                continue
            probe, memory = Probe(address, who, str(codes[0])), Memory(served.pid)
            wanted = pa.table({"subject": large[: given.large]})
            try:
                row[case] = timed(served, address, who, wanted, BASE, ("uscc", "name"))
            except flight.FlightError as error:
                row[case] = {"refused": str(error).split("message: ")[-1][:60]}
            probe.stop()
            row[case] |= {
                "probe_worst_ms": probe.worst_ms, "probe_asked": probe.asked,
                "probe_refused": dict(probe.refused), "peak_mib": memory.stop(),
            }  # fmt: skip
        finally:
            served.terminate()
            served.join()
    size = row["features"]["subjects"]
    row["target_applies"] = size >= TARGET_SUBJECTS and records >= TARGET_RECORDS * 0.99
    return row


def show(row: Any) -> None:
    """Print it for people."""
    found = row["features"]
    print(f"features of {found['subjects']:,} subjects, {row['records']:,} records, with dates")
    wanted = f"< {TARGET_S:g}" if row["target_applies"] else ""
    if "load_s" in row:
        copied = f"COPY into the tables took {row['fill_s']:.1f}"
        filled = f"once; {copied if row['fill_s'] else 'they were filled before'}"
        print_rows([Row("PostgreSQL into snapshots", row["load_s"], "s", "", filled)])
    parts = f"put {found['put_s']:.2f}, plan {found['plan_s']:.2f}, get {found['get_s']:.2f}"
    print_rows(
        [
            Row("upload to last row", found["total_s"], "s", wanted, parts),
            Row("processor of the gateway", found["server_cpu_s"], "s"),
            Row("rows", found["rows"], "", "", f"hit rate {found['hit_rate']}"),
            Row("peak memory", found["peak_mib"], "MiB", "< 600", "anonymous"),
        ]
    )
    for case, what in (("parts", "in parts"), ("one_entry", "baseline: in one entry")):
        found = row.get(case)
        if not found:
            continue
        print(f"a portfolio of records, {what}")
        if "refused" in found:
            print(f"  refused: {found['refused']}")
        else:
            steps = f"put {found['put_s']:.2f}, plan {found['plan_s']:.2f}"
            print_rows(
                [
                    Row("upload to last row", found["total_s"], "s", "", steps),
                    Row("first row after DoGet", found["first_row_s"], "s"),
                    Row("processor of the gateway", found["server_cpu_s"], "s"),
                ]
            )
        of = f"of {found['probe_asked']}; refused {found['probe_refused'] or 'none'}"
        print_rows(
            [
                Row("another caller, at worst", found["probe_worst_ms"], "ms", "", of),
                Row("peak memory", found["peak_mib"], "MiB", "", "anonymous"),
            ]
        )


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.portfolio", description=__doc__)
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--skip-baseline", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data, dsn = given.data or scratch / "data", ""
        if given.postgres:
            data.mkdir(parents=True, exist_ok=True)
            dsn = stack.enter_context(server(data / "postgres"))
        stage, spooled = set_up(scratch / "deployment", data, given, dsn)
        row = measure(stage, given) | spooled
    row["machine"] = machine()["text"]
    if given.json:
        print(json.dumps(row, indent=2))
    else:
        print(row["machine"])
        show(row)
    return row


if __name__ == "__main__":
    main()
