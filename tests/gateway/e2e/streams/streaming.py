"""Streams that are stopped between two batches, and what tests read from them and of the log."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pyarrow as pa

from gateway.registry import licences
from tests.gateway.e2e.conftest import Clock
from tests.gateway.e2e.serving import COMPANY, Member, Site
from xinguan.v1 import exchange_pb2, repair_pb2

BATCH_ROWS = 8
_LOOKS = 10  # in a row at a stream that stands still
_END = b"\xff\xff\xff\xff\0\0\0\0"  # the end of an Arrow IPC stream


class Turnstile:
    """Stands at two places on the way of a batch; open unless a test closes it."""

    def __init__(self) -> None:
        self.open = True
        self._permits = asyncio.Semaphore(0)
        self._waiting = asyncio.Event()

    async def passed(self) -> None:
        if self.open:
            return
        self._waiting.set()
        await self._permits.acquire()
        self._waiting.clear()

    async def someone_waits(self) -> None:
        await asyncio.wait_for(self._waiting.wait(), 60)

    def let(self, batches: int) -> None:
        self._waiting.clear()
        for _ in range(batches):
            self._permits.release()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        self.open = False
        try:
            yield
        finally:
            self.open = True
            self.let(1_000)
            await asyncio.sleep(0)
            self._permits = asyncio.Semaphore(0)
            self._waiting.clear()


class Hold:
    """The gate's own hold, entered only when the turnstile lets it."""

    def __init__(self, hold, turnstile: Turnstile) -> None:
        self._hold = hold
        self._turnstile = turnstile

    async def __aenter__(self):
        await self._turnstile.passed()
        return await self._hold.__aenter__()

    async def __aexit__(self, *failure):
        return await self._hold.__aexit__(*failure)


class Streams:
    """A site whose streams have many small batches, with a turnstile before and inside the gate."""

    def __init__(self, site: Site, before: Turnstile, inside: Turnstile, clock: Clock) -> None:
        self.site = site
        self.before = before
        self.inside = inside
        self.clock = clock
        self.recording = 0  # batches whose evidence is being made durable now
        self._calls: list[grpc.aio.Call] = []

    def subjects(self, product: str) -> list[str]:
        """Return the organisations of a product in the snapshot's order, each once."""
        snapshot = self.site.world.library.current(product)
        codes = [
            code
            for number in range(snapshot.batch_count)
            for code in snapshot.take(snapshot.batch_rows(number), ["uscc"])["uscc"].to_pylist()
        ]
        return list(dict.fromkeys(codes))

    def record_of(self, subject: str) -> str:
        """Return the id of a penalty that the subject has."""
        snapshot = self.site.world.library.current("admin_penalty")
        rows = snapshot.locate([subject])
        assert len(rows)
        return str(snapshot.take(rows[:1], ["record_id"])["record_id"][0])

    def portion_of(self, subject: str) -> int:
        """Return the number of the batch in which a subject's penalty comes."""
        snapshot = self.site.world.library.current("admin_penalty")
        rows = snapshot.locate(self.subjects("admin_penalty"))
        kinds = snapshot.take(rows, ["subject_type"]).column(0).to_numpy(zero_copy_only=False)
        shown = snapshot.shareable(rows, self.clock() // 1000) & (kinds == "LEGAL_ENTITY")
        number = rows[shown].tolist().index(int(snapshot.locate([subject])[0])) // BATCH_ROWS
        assert number > 0
        return number

    async def settle(self) -> None:
        """End the streams that a test began and wait for their outcomes, which must come."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        for _ in range(3_000):
            entries = self.site.entries()
            intents = {i for i, entry in enumerate(entries) if entry["kind"] == "intent"}
            closed = {entry["intent"] for entry in entries if entry["kind"] == "outcome"}
            if intents == closed:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("an intent was left without its outcome")

    def start(self, who: Member, product: str = "legal_entity_base", fields=COMPANY, **words):
        """Start a query of every organisation of a product; returns the call."""
        words = {"subjects": self.subjects(product)} | words
        call = self.site.exchange(who).Query(self.site.build(who, product, fields, **words))
        self._calls.append(call)
        return call


def rows_of(messages: list[exchange_pb2.QueryResponse]) -> list[dict]:
    """Return the rows of an answer that may have been cut short."""
    assert messages[0].batch.arrow_schema
    stream = b"".join(part.batch.arrow_schema + part.batch.arrow_ipc for part in messages)
    return pa.ipc.open_stream(stream).read_all().to_pylist()


def got_fields(messages: list[exchange_pb2.QueryResponse]) -> list[str]:
    """Return the names of the fields that leave, from the first message."""
    names = pa.ipc.open_stream(messages[0].batch.arrow_schema + _END).schema.names
    assert names
    return names


async def take(call, count: int) -> list[exchange_pb2.QueryResponse]:
    """Return the next messages of a running call."""
    got = [await asyncio.wait_for(call.read(), 60) for _ in range(count)]
    assert all(isinstance(message, exchange_pb2.QueryResponse) for message in got)
    return got


async def rest(call, got: list | None = None) -> list[exchange_pb2.QueryResponse]:
    """Return what is left of a running call; it comes into `got` as far as it comes."""
    got = [] if got is None else got
    while (message := await asyncio.wait_for(call.read(), 60)) is not grpc.aio.EOF:
        got.append(message)
    return got


async def publish(
    streams: Streams, record: str, product: str = "admin_penalty"
) -> repair_pb2.PublishResponse:
    """Publish a repair of a record and return its acknowledgement."""
    decision = streams.site.desk.repair(product, record)
    stub = streams.site.repairs(streams.site.authority)
    done = await stub.Publish(repair_pb2.PublishRequest(decision=decision), timeout=60)
    assert streams.site.entry(done.entry.index)["kind"] == "repair"
    return done


def penalised(streams: Streams) -> str:
    """Return an organisation with one penalty that is shown now, as late in a stream as any."""
    snapshot = streams.site.world.library.current("admin_penalty")
    now = int(time.time())
    shown = []
    for subject in streams.subjects("admin_penalty"):
        rows = snapshot.locate([subject])
        if len(rows) == 1 and snapshot.shareable(rows, now).all():
            record = snapshot.take(rows, ["publicity_state", "subject_type"]).to_pylist()[0]
            if record == {"publicity_state": "PUBLIC", "subject_type": "LEGAL_ENTITY"}:
                shown.append(subject)
    return [code for code in shown if code != streams.site.population.penalised][-1]


async def outcome_of(site: Site, intent: int) -> dict:
    """Wait until an intent has its outcome and return it."""
    for _ in range(3_000):
        entries = site.of_intent(intent)
        if entries and entries[-1]["kind"] == "outcome":
            return entries[-1]
        await asyncio.sleep(0.02)
    raise AssertionError("an intent was left without its outcome")


async def stuck_batch(streams: Streams, intent: int) -> int:
    """Wait until a stream has stopped because its client does not read; return the last batch.

    It has when the batch whose evidence is durable stays held, and no other is being recorded.
    """
    site, last, looks = streams.site, -1, 0
    for _ in range(600):
        await asyncio.sleep(0.1)
        *_, newest = site.of_intent(intent)
        assert newest["kind"] == "batch", "the whole answer fitted into the transport"
        held = site.world.gate.held("legal_entity_base") == 1 and not streams.recording
        looks = looks + 1 if held and newest["number"] == last else 0
        if looks == _LOOKS:
            return last
        last = newest["number"]
    raise AssertionError("the stream never stopped")


def suspend_licence(desk, member) -> None:
    """Suspend the licence of a member."""
    desk.run(licences.suspend, member.licence_id)
