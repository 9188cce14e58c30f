"""Portfolios as a bank uploads, asks about and exchanges them, with pyarrow's own client."""

import asyncio
import time

import pyarrow as pa
from pyarrow import flight

from adapters.files import FileSource
from gateway.demo.cast import GRADE_FIELDS
from gateway.ingest.synth import synthesise
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.serving import Site
from tests.gateway.e2e.test_flight import (
    connect,
    plan,
    read,
)
from xinguan.client import Identity
from xinguan.v1 import exchange_pb2, types_pb2

PRODUCT = "public_credit_grade"
BATCH_ROWS = 24
COMMAND = exchange_pb2.PortfolioUpload(
    subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY
).SerializeToString()
UPLOAD = flight.FlightDescriptor.for_command(COMMAND)


def admit_grades(site: Site, home, companies: int, batch_rows: int) -> None:
    """Make a snapshot of synthetic grades the present one."""
    product, now = Catalogue.load().product(PRODUCT), int(time.time())
    report = synthesise(home, companies=companies, seed=3, products=(PRODUCT,), as_of=now - 60)
    SnapshotLibrary(site.deployment.snapshots_directory).admit_and_activate(
        FileSource(str(report.files[PRODUCT].path), expected=arrow_schema(product)),
        product,
        arrow_schema(product),
        now=now,
        as_of=now - 60,
        quarantined=0,
        batch_rows=batch_rows,
    )


def graded(site: Site) -> list[str]:
    """Return every organisation that has a grade, withheld or not."""
    snapshot = site.world.library.current(PRODUCT)
    batches = [snapshot.take(snapshot.batch_rows(n), ["uscc"]) for n in range(snapshot.batch_count)]
    return list(dict.fromkeys(pa.Table.from_batches(batches)["uscc"].to_pylist()))


def subjects_table(subjects) -> pa.Table:
    return pa.table({"subject": pa.array(subjects, pa.string())})


async def upload(
    site: Site, who: Identity, table: pa.Table, **words
) -> exchange_pb2.PortfolioReceipt:
    """Upload a portfolio with pyarrow's own client."""

    def put() -> exchange_pb2.PortfolioReceipt:
        with connect(site, who) as client:
            writer, answers = client.do_put(words.get("descriptor", UPLOAD), table.schema)
            writer.write_table(table, max_chunksize=words.get("chunk", 50))
            writer.done_writing()
            answer = answers.read()
            writer.close()
        return exchange_pb2.PortfolioReceipt.FromString(answer.to_pybytes())

    return await asyncio.to_thread(put)


async def act(site: Site, who: Identity, name: str, body: bytes = b"") -> bytes:
    """Do an action and return its one result."""

    def call() -> bytes:
        with connect(site, who) as client:
            (result,) = client.do_action(flight.Action(name, body))
            return result.body.to_pybytes()

    return await asyncio.to_thread(call)


async def ask(site: Site, who: Identity, handle: str, **words) -> pa.Table:
    """Return everything that a portfolio's organisations have."""
    info = await plan(site, who, PRODUCT, GRADE_FIELDS, portfolio=handle, **words)
    parts = [await read(site, who, endpoint.ticket) for endpoint in info.endpoints]
    return pa.Table.from_batches([b for part in parts for b in part.batches], schema=info.schema)


async def exchange(site: Site, who: Identity, wanted, table: pa.Table) -> pa.Table:
    """Send a portfolio and read its records in one call."""

    def call() -> pa.Table:
        with connect(site, who) as client:
            writer, reader = client.do_exchange(wanted)
            writer.begin(table.schema)
            writer.write_table(table, max_chunksize=30)
            writer.done_writing()
            got = reader.read_all()
            writer.close()
            return got

    return await asyncio.to_thread(call)
