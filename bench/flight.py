"""Arrow Flight through the whole road against pyarrow's own bare Flight server, same mutual TLS.

    python -m bench.flight [--rows 2000000] [--json]

Ten columns in memory on both sides, the same pyarrow client in this process, in turns within one
run. The gateway does everything it always does: ticket, decision, intent, gate, enforcement,
evidence durable before each batch. (a) nothing to transform, nothing withheld; (b) two columns
pseudonymised, two masked, every tenth row unshareable. The real policy decides both; for (b) its
decision is then altered in the serving process, because no product of the catalogue is decided so.

What a ratio means on few cores: client, TLS on both ends, and server share them.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import flight

from bench.machine import machine
from bench.table import Row, print_rows
from gateway.demo.cast import BANK
from gateway.demo.stage import Stage, set_stage
from gateway.deployment import Deployment
from gateway.domain.vocabulary import FieldAction
from gateway.registry import whitelists
from gateway.registry.act import Act
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.release.world import World
from gateway.server import Gateway
from gateway.snapshot.library import SnapshotLibrary
from xinguan.client import Client, Identity

PRODUCT = "legal_entity_base"
COLUMNS = (
    "uscc", "name", "legal_rep_name", "entity_type", "established_on", "reg_status",
    "registered_capital", "region_code", "industry_code", "reg_authority_uscc",
)  # fmt: skip
TRANSFORMED = {
    "uscc": FieldAction.PSEUDONYM,
    "reg_authority_uscc": FieldAction.PSEUDONYM,
    "name": FieldAction.MASK,
    "legal_rep_name": FieldAction.MASK,
}
# Long texts that nobody asks for here; without them the snapshot is a third of the size.
UNUSED = {"business_scope", "address", "name_en", "locality", "reg_authority", "content_hash"}
BATCH_ROWS = 32_768
STREAMS = 16
_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places


class Tiled:
    """A source of many rows: those of a small snapshot again and again, under ids of their own."""

    def __init__(self, base: pa.RecordBatch, rows: int) -> None:
        self._rows = rows
        columns = []
        for field in base.schema:
            kept = field.name not in UNUSED or not field.nullable
            column = base.column(field.name)
            columns.append(column if kept else pa.nulls(len(column), column.type))
        self._base = pa.RecordBatch.from_arrays(columns, schema=base.schema)

    def schema(self) -> pa.Schema:
        """Return the contract's schema."""
        return self._base.schema

    def version(self) -> str:
        """Return a constant digest."""
        return "0" * 64

    def scan(self, columns: Sequence[str] | None, *_: Any) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        place = self._base.schema.get_field_index("record_id")
        for first in range(0, self._rows, self._base.num_rows):
            batch: Any = self._base.slice(0, min(self._base.num_rows, self._rows - first))
            ids = pa.array([f"bench-{first + n:09d}" for n in range(batch.num_rows)])
            made = batch.set_column(place, batch.schema.field(place), ids)
            yield made.select(list(columns or made.schema.names))


class AlteredGateway(Gateway):
    """A gateway whose decisions and snapshot are altered for case (b)."""

    altered = False

    def _world(self, *parts: Any) -> World:
        world = super()._world(*parts)
        if not self.altered:
            return world
        decide = world.decider.decide

        async def decided(facts: Any) -> Any:
            decision = await decide(facts)
            return replace(decision, actions=dict(decision.actions) | TRANSFORMED)

        world.decider.decide = decided  # type: ignore[method-assign]  # a benchmark's own
        return world

    def withhold(self, world: World) -> None:
        """Withhold every tenth row."""
        snapshot = world.library.current(PRODUCT)
        if self.altered and snapshot is not None:
            snapshot.withhold(np.arange(0, snapshot.rows, 10, dtype=np.int64))


def serve_gateway(root: str, altered: bool, pipe: Connection) -> None:
    """Serve the deployment in this process."""

    async def serve() -> None:
        gateway = AlteredGateway(Deployment.open(Path(root)), listen="127.0.0.1:0")
        gateway.altered = altered
        worlds: list[World] = []
        make = gateway._world  # noqa: SLF001 - to reach the snapshot of the same process
        gateway._world = lambda *parts: worlds.append(make(*parts)) or worlds[0]  # type: ignore[method-assign,func-returns-value]  # noqa: SLF001
        async with gateway:
            gateway.withhold(worlds[0])
            pipe.send(gateway.address)
            await gateway.wait()

    asyncio.run(serve())


class Bare(flight.FlightServerBase):  # type: ignore[misc]  # the stubs know no base
    """pyarrow's own server with the same rows in memory, and nothing else."""

    def __init__(self, table: pa.Table, tls: Any) -> None:
        super().__init__(
            "grpc+tls://127.0.0.1:0",
            tls_certificates=[(tls.certificate, tls.key)],
            verify_client=True,
            root_certificates=tls.client_ca,
        )
        self._table = table

    def do_get(self, context: object, ticket: object) -> flight.RecordBatchStream:  # noqa: ARG002
        """Stream the table."""
        return flight.RecordBatchStream(self._table)


def serve_bare(root: str, pipe: Connection) -> None:
    """Serve the snapshot's rows from memory."""
    deployment = Deployment.open(Path(root))
    snapshot = SnapshotLibrary(deployment.snapshots_directory).current(PRODUCT)
    assert snapshot is not None
    everything = (snapshot.batch(n).rows for n in range(snapshot.batch_count))
    empty = pa.RecordBatch.from_pylist([], schema=pa.schema([]))
    batches = [
        _arrow.concat_batches([batch.select(list(COLUMNS))[:0], batch.select(list(COLUMNS))])
        for batch in everything
    ] or [empty]
    server = Bare(pa.Table.from_batches(batches), deployment.tls())
    pipe.send(f"127.0.0.1:{server.port}")
    server.wait()


@dataclass(slots=True)
class Reading:
    """One reading: rows, seconds, seconds to the first batch of it."""

    rows: int
    seconds: float
    first_s: float


def connect(address: str, who: Identity) -> Any:
    """Return pyarrow's own client."""
    return flight.connect(
        f"grpc+tls://{address}",
        tls_root_certs=who.authority,
        cert_chain=who.certificate,
        private_key=who.key,
    )


def read(client: Any, tickets: Sequence[Any]) -> Reading:
    """Read tickets one after the other to their ends."""
    rows, first = 0, 0.0
    began = time.perf_counter()
    for ticket in tickets:
        for chunk in client.do_get(ticket):
            first = first or time.perf_counter() - began
            if chunk.data is not None:
                rows += chunk.data.num_rows
    return Reading(rows, time.perf_counter() - began, first)


def plan(client: Any, address: str, who: Identity) -> list[Any]:
    """Return the tickets of the whole product."""
    maker = Client(address, who, sign=False)
    query = maker.build_query(
        PRODUCT, COLUMNS, purpose="ENTERPRISE_CREDIT", scenario="CREDIT_LOAN",
        operator="bench", case_reference="bench",
    )  # fmt: skip
    wanted = flight.FlightDescriptor.for_command(query.SerializeToString())
    return [endpoint.ticket for endpoint in client.get_flight_info(wanted).endpoints]


def fairness(address: str, who: Identity, tickets: Sequence[Any], seconds: float) -> float:
    """Return the smallest share of rows over the greatest among streams at once."""
    counts = [0] * STREAMS
    end = time.perf_counter() + seconds

    def stream(number: int) -> None:
        with connect(address, who) as client:
            for ticket in itertools.cycle(tickets):
                for chunk in client.do_get(ticket):
                    if time.perf_counter() > end:
                        return
                    counts[number] += chunk.data.num_rows if chunk.data is not None else 0

    threads = [threading.Thread(target=stream, args=(n,)) for n in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(counts) / max(*counts, 1)


class Memory:
    """Watches the greatest anonymous memory of a process; mapped snapshots are not counted."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/status")
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.02) and self._path.exists():
            for line in self._path.read_text().splitlines():
                if line.startswith("RssAnon"):
                    self.peak_mib = max(self.peak_mib, int(line.split()[1]) / 1024)

    def stop(self) -> float:
        """Return the peak in MiB."""
        self._stop.set()
        self._thread.join()
        return self.peak_mib


def start(target: Callable[..., None], *words: Any) -> tuple[Any, str]:
    """Start a server in a process of its own; return it and its address."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = spawn.Process(target=target, args=(*words, sender), daemon=True)
    process.start()
    return process, receiver.recv()


def prepare(root: Path, rows: int) -> Stage:
    """Make a deployment whose product has so many rows."""
    stage = set_stage(root, int(time.time()), companies=4_000)
    with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
        settings.write("\n[limits]\ncalls_per_second = 1000000\nrows_per_day = 1000000000000\n")
    product, now = Catalogue.load().product(PRODUCT), int(time.time())
    library = SnapshotLibrary(stage.deployment.snapshots_directory)
    small = stage.loaded[PRODUCT].snapshot
    base: Any = small.batch(0).rows
    # Only rows that may leave: what (b) withholds of them, it withholds itself.
    base = base.filter(pa.array(small.shareable(small.batch_rows(0), now)))
    base = base.filter(pc.equal(base.column("subject_type"), "LEGAL_ENTITY"))
    library.admit_and_activate(
        Tiled(base, rows), product, arrow_schema(product), now=now, as_of=now - 60,
        quarantined=0, batch_rows=BATCH_ROWS,
    )  # fmt: skip
    keep_inside(stage, now)
    return stage


def keep_inside(stage: Stage, now: int) -> None:
    """Withdraw the product's whitelists: what is measured here has no copy for abroad.

    The store apart (M58) is decrypted into memory, so its size would count as the stream's.
    """
    state, act = stage.deployment.open_state(), Act(now, "bench")
    for known in state.run(whitelists.every):
        content = known.content
        if content.product == PRODUCT and known.withdrawn_at is None:
            words = (content.partner, content.product, content.version, act)
            state.run(lambda tx, words=words: whitelists.withdraw(tx, *words))
    state.close()


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.flight", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of the streams at once")
    parser.add_argument("--cases", nargs="*", default=["a", "b"], choices=["a", "b"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        stage = prepare(Path(scratch) / "deployment", given.rows)
        row = measure(stage, given)
    row["machine"] = machine()["text"]
    print(json.dumps(row, indent=2) if given.json else row["machine"])
    return row


def measure(stage: Stage, given: argparse.Namespace) -> dict[str, object]:
    """Measure bare server and gateway in turns, (a) then (b)."""
    who, root = stage.identity(BANK), str(stage.deployment.root)
    bare, bare_address = start(serve_bare, root)
    row: dict[str, object] = {"rows": given.rows, "columns": len(COLUMNS)}
    try:
        for case in given.cases:
            served, address = start(serve_gateway, root, case == "b")
            try:
                with connect(bare_address, who) as plain, connect(address, who) as client:
                    tickets = plan(client, address, who)
                    read(client, tickets)  # warm: pages, plans, digests
                    memory = Memory(served.pid)
                    ours, theirs = [], []
                    for _ in range(given.turns):
                        theirs.append(read(plain, [flight.Ticket(b"")]))
                        ours.append(read(client, tickets))
                    row |= figures(case, ours, theirs, given.rows)
                    row[f"{case}_fairness"] = fairness(address, who, tickets, given.seconds)
                    row[f"{case}_peak_mib"] = memory.stop()
                    if not given.json:
                        show(row, case)
            finally:
                served.terminate()
                served.join()
    finally:
        bare.terminate()
    return row


def figures(
    case: str, ours: Sequence[Reading], theirs: Sequence[Reading], rows: int
) -> dict[str, object]:
    """Return medians; rows a second count the snapshot's rows that were gone through."""
    mine = statistics.median(rows / each.seconds for each in ours)
    bare = statistics.median(each.rows / each.seconds for each in theirs)
    return {
        f"{case}_rows_per_s": mine,
        f"{case}_bare_rows_per_s": bare,
        f"{case}_left": ours[0].rows,
        f"{case}_ratio": mine / bare,
        f"{case}_ratio_left": mine / bare * ours[0].rows / rows,
        f"{case}_first_ms": statistics.median(each.first_s for each in ours) * 1000,
    }


def show(row: Any, case: str) -> None:
    """Print one case for people."""
    what, wanted = {"a": ("untouched", "0.9"), "b": ("transformed", "0.6")}[case]
    print(f"Flight, {row['columns']} columns x {row['rows']:,} rows, {what}")
    bare = f"bare {row[f'{case}_bare_rows_per_s']:,.0f} rows/s"
    left = f"{row[f'{case}_ratio_left']:.2f} of rows that left"
    print_rows(
        [
            Row("speed", row[f"{case}_rows_per_s"], "rows/s", "", bare),
            Row("ratio", row[f"{case}_ratio"], "", f">= {wanted}", left),
            Row("first batch", row[f"{case}_first_ms"], "ms", "< 50"),
            Row(f"{STREAMS} streams", row[f"{case}_fairness"], "min/max"),
            Row("peak memory", row[f"{case}_peak_mib"], "MiB", "< 600", "anonymous"),
        ]
    )


if __name__ == "__main__":
    main()
