"""Serving processes that a test may stop, wake and kill, on one deployment."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq

from arrow_flight import flight_pb2
from gateway.demo.stage import Stage, set_stage
from gateway.deployment import Deployment
from gateway.ingest.loading import load_product
from gateway.registry.catalogue import Catalogue
from gateway.registry.licences import GrantClaims
from gateway.snapshot.library import SnapshotLibrary
from tests.conftest import ROOT
from tests.gateway.e2e.serving import PENALTY_FIELDS, Desk, Member
from tests.ports import free_port
from xinguan.client import Identity
from xinguan.v1 import exchange_pb2

LEASE_MS = 1_000
PENALTY, GRADE = "admin_penalty", "public_credit_grade"
_TERM = (
    "determination_date", "publicity_start", "publicity_min_end", "publicity_end", "severity",
    "severity_basis", "decided_on", "valid_to", "fulfilled_on", "is_adverse", "dispute_flag",
    "dispute_id", "summary_procedure", "large_amount",
)  # fmt: skip
GRADE_FIELDS = ("uscc", "grade", "as_of")
SETTINGS = """
[replicas]
lease_ms = {lease_ms}
gate_wait_ms = 300

[limits]
calls_per_second = 1000000
rows_per_day = 1000000000
"""
PATIENT = """
busy_timeout_ms = 60000
policy_deadline_ms = 20000
"""
_PROGRAM = (
    "from tests.fault.mutants import {name} as prepare; prepare();"
    " from gateway.cli.main import main; main()"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A penalty: what a client sees of it, how a decision names it, and whose it is."""

    number: str
    record_id: str
    subject: str


@dataclass(slots=True)
class Site:
    """A deployment for several processes, with small batches, and an agency that may ask."""

    stage: Stage
    desk: Desk
    agency: Member
    authority: Identity
    snapshots: dict[str, list[str]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.stage.deployment.root


def make_site(home: Path, *, companies: int, batch_rows: int, lease_ms: int = LEASE_MS) -> Site:
    """Make a deployment whose penalties and grades lie in two snapshots each."""
    now = int(time.time())
    stage = set_stage(home, now, companies=companies)
    with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
        settings.write(SETTINGS.format(lease_ms=lease_ms) + PATIENT)
    desk = Desk(stage.deployment, lambda: int(time.time()))
    library, catalogue = SnapshotLibrary(stage.deployment.snapshots_directory), Catalogue.load()
    penalties = home / "public-penalties.parquet"
    make_public(stage.population.files[PENALTY].path, penalties)
    paths = {PENALTY: penalties, GRADE: stage.population.files[GRADE].path}
    for product, path in paths.items():
        for size in (batch_rows, batch_rows + 8):
            load_product(
                desk.state, library, catalogue.product(product), path, desk.act, batch_rows=size
            )
    grants = {
        PENALTY: GrantClaims(fields=tuple(PENALTY_FIELDS)),
        GRADE: GrantClaims(fields=GRADE_FIELDS),
    }
    site = Site(stage, desk, desk.enrol(grants=grants), _authority(stage))
    for product in paths:
        older = stage.loaded[product].snapshot.snapshot_id
        site.snapshots[product] = [name for name in library.kept(product) if name != older]
    rows = pq.read_table(penalties, columns=["decision_no", "record_id", "uscc"])
    site.records = [Record(*row.values()) for row in rows.to_pylist()]
    return site


def make_public(source: Path, target: Path) -> None:
    """Write the penalties with the term of one that is public now, so that each can be repaired."""
    table = pq.read_table(source)
    wanted = {"share_state": "ACTIVE", "publicity_state": "PUBLIC", "subject_type": "LEGAL_ENTITY"}
    rows = table.select([*wanted, "severity"]).to_pylist()
    chosen = next(
        number
        for number, row in enumerate(rows)
        if {**row, **wanted} == row and row["severity"] == "SERIOUS"
    )
    for name in (*_TERM, *wanted):
        place = table.schema.get_field_index(name)
        value = table.column(name)[chosen]
        column = pa.array([value.as_py()] * table.num_rows, table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), column)
    pq.write_table(table, target)


def _authority(stage: Stage) -> Identity:
    from gateway.demo.cast import AUTHORITY

    return stage.identity(AUTHORITY)


class Node:
    """One `xinguan serve`; started again under the same name and at the same port after an end."""

    def __init__(
        self, home: Path, name: str, *, mutant: str = "", words: Sequence[str] = ()
    ) -> None:
        self.home = home
        self.name = name
        # Not one that the system hands out: it comes back here after its end.
        self.address = f"127.0.0.1:{free_port()}"
        self.pauses: list[tuple[float, float]] = []
        self._mutant = mutant
        self._words = words
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it serves."""
        words = ["serve", "--home", str(self.home), "--node", self.name, "--json", *self._words]
        words += ["--listen", self.address]
        program = [str(Path(sys.executable).parent / "xinguan")]
        if self._mutant:
            program = [sys.executable, "-c", _PROGRAM.format(name=self._mutant)]
        with (self.home / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *program,
                *words,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")])},
            )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 180)
        self.address = json.loads(line)["listening"]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.home / f"{self.name}.log").read_text()

    def stop_it(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def wake_it(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def stop_between_commits(self) -> None:
        """Stop it while it doesn't hold the database's one write lock (docs/replicas.md)."""
        path = Deployment.open(self.home).state_path
        for _ in range(50):
            self.stop_it()
            _wait_until_stopped(self.pid)
            connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                self.wake_it()
                await asyncio.sleep(0.01)
            else:
                return
            finally:
                connection.close()
        raise AssertionError("it never let go of the database")

    async def pause(self, seconds: float) -> None:
        """Stop it for some time, by the signal that can't be caught."""
        began = time.monotonic()
        self.stop_it()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.wake_it()
            self.pauses.append((began, time.monotonic()))

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> int:
        """End it in order; returns its exit code."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 60)
            except TimeoutError:
                await self.kill()
        return self._process.returncode or 0

    def channel(self, identity: Identity) -> grpc.aio.Channel:
        """Return a connection of its own."""
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # Also the time that a handshake may take.
            ("grpc.min_reconnect_backoff_ms", 10_000),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        return grpc.aio.secure_channel(self.address, identity.credentials(), options=options)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch as a client received it.

    Args:
        node: Who sent it.
        received_at: Monotonic seconds, when the client had it.
        index: Log index of the entry that it was recorded by before it was handed over.
        product: Product.
        keys: Numbers of penalties, or subjects of derived values.
    """

    node: str
    received_at: float
    index: int
    product: str
    keys: tuple[str, ...]


def build(site: Site, product: str, subjects: Sequence[str]) -> exchange_pb2.QueryRequest:
    """Return a fresh query of the agency."""
    fields = PENALTY_FIELDS if product == PENALTY else GRADE_FIELDS
    query = exchange_pb2.QueryRequest(product=product, fields=fields, subjects=subjects)
    query.subject_kind = 1
    query.context.idempotency_key = f"{random.getrandbits(128):032x}"
    query.context.purpose = "CREDIT_REPORT"
    query.context.scenario = "ENTERPRISE_REPORT"
    query.context.destination = "CN"
    query.context.operator = "fault-1"
    query.context.case_reference = "fault-case-1"
    query.context.time.FromNanoseconds(time.time_ns())
    query.encoding = exchange_pb2.ENCODING_ARROW_IPC
    return query


async def ask(
    channel: grpc.aio.Channel, node: str, site: Site, product: str, subjects: Sequence[str]
) -> list[Delivery]:
    """Query over a channel and return what was received, as far as it came."""
    call = channel.unary_stream("/xinguan.v1.ExchangeService/Query")(
        build(site, product, subjects).SerializeToString(), timeout=60
    )
    found: list[Delivery] = []
    pending: list[tuple[float, exchange_pb2.QueryResponse]] = []
    schema = b""
    async for message in call:
        received = time.monotonic()
        answer = exchange_pb2.QueryResponse.FromString(message)
        schema = schema or answer.batch.arrow_schema
        pending.append((received, answer))
    closing = pending[-1][1].outcome.entry.index
    for received, answer in pending:
        if answer.HasField("batch") and answer.batch.rows:
            index = answer.batch.evidence.index or closing
            batch = pa.ipc.open_stream(schema + answer.batch.arrow_ipc).read_next_batch()
            found.append(Delivery(node, received, index, product, _keys(product, batch)))
    return found


async def stream(
    channel: grpc.aio.Channel, node: str, site: Site, product: str, got: list[Delivery]
) -> None:
    """Read a whole product over Flight; what is received comes into `got` as it comes."""
    service = "/arrow.flight.protocol.FlightService/"
    query = build(site, product, ())
    descriptor = flight_pb2.FlightDescriptor(
        type=flight_pb2.FlightDescriptor.CMD, cmd=query.SerializeToString()
    )
    info = flight_pb2.FlightInfo.FromString(
        await channel.unary_unary(service + "GetFlightInfo")(
            descriptor.SerializeToString(), timeout=60
        )
    )
    schema = pa.ipc.read_schema(pa.py_buffer(info.schema))
    read = channel.unary_stream(service + "DoGet")
    for endpoint in info.endpoint:
        async for message in read(endpoint.ticket.SerializeToString(), timeout=60):
            received = time.monotonic()
            data = flight_pb2.FlightData.FromString(message)
            if not data.app_metadata or not data.data_header:
                continue
            index = exchange_pb2.QueryResponse.FromString(data.app_metadata).batch.evidence.index
            size = len(data.data_header)
            framed = b"\xff\xff\xff\xff" + size.to_bytes(4, "little")
            batch = pa.ipc.read_record_batch(
                pa.py_buffer(framed + data.data_header + data.data_body), schema
            )
            if batch.num_rows:
                got.append(Delivery(node, received, index, product, _keys(product, batch)))


def _keys(product: str, batch: pa.RecordBatch) -> tuple[str, ...]:
    return tuple(batch.column("decision_no" if product == PENALTY else "uscc").to_pylist())


def _wait_until_stopped(pid: int) -> None:
    """Wait until every thread has stopped: one inside a system call first comes out of it.

    It could take a lock on its way, after whoever looks for it found it free.
    """
    threads = Path(f"/proc/{pid}/task")  # not on every system; there the window stays
    while threads.is_dir() and any(_state(each) not in "tTZX" for each in threads.iterdir()):
        time.sleep(0.001)


def _state(thread: Path) -> str:
    """Return a thread's state, one letter as in proc(5)."""
    try:
        return (thread / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "X"  # it ended meanwhile
