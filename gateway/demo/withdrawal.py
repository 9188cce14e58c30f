"""The steps of a withdrawal: a running stream loses a record, a receiver is recalled."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pyarrow.flight

from gateway.demo.cast import AGENCY, AUTHORITY, BANK, PARTNER, PENALTY_FIELDS
from gateway.demo.scene import Scene, Told, UnexpectedError, expect
from gateway.demo.stage import PENALTIES
from gateway.demo.steps import repair_document
from xinguan.client import Client, Notice

# A window of a few bytes: the gateway can't run ahead of its reader, however small the batches.
_NARROW: list[tuple[str, int | str]] = [
    ("grpc.http2.lookahead_bytes", 64),
    ("grpc.http2.bdp_probe", 0),
]
_NUMBER = "decision_no"
_FEWEST_BATCHES = 3
_FIRST_SEQUENCE = 1_000  # above those of the step before
_LOOKS = 100  # for the change, each a query; the batch under way has 2 s to leave
_NOTICE_S = 10.0
_BANK_ASKS: dict[str, Any] = {
    "purpose": "ENTERPRISE_CREDIT",
    "scenario": "CREDIT_LOAN",
    "operator": "demo-modeller-3",
    "case_reference": "demo-model-2026-02",
}
Batches = list[list[str]]


class Pull:
    """A bank's plan of all penalties, read batch by batch. Owner: one thread at a time."""

    def __init__(self, scene: Scene, command: bytes) -> None:
        """Ask for the plan of a serialised query."""
        identity = scene.stage.identity(BANK)
        self._client = pyarrow.flight.FlightClient(
            f"grpc+tls://{scene.address}",
            tls_root_certs=identity.authority.decode(),
            cert_chain=identity.certificate.decode(),
            private_key=identity.key.decode(),
            generic_options=_NARROW,
        )
        descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
        self._endpoints = self._client.get_flight_info(descriptor).endpoints

    def longest(self) -> tuple[int, Batches]:
        """Return an endpoint of several batches whose last one has records, and its batches."""
        for number in range(len(self._endpoints)):
            batches = self.rest(self.begin(number))
            if len(batches) >= _FEWEST_BATCHES and batches[-1]:
                return number, batches
        raise UnexpectedError("no endpoint of the plan has records in its last batch")

    def begin(self, endpoint: int) -> pyarrow.flight.FlightStreamReader:
        """Open the stream of one endpoint."""
        return self._client.do_get(self._endpoints[endpoint].ticket)

    def next(self, reader: pyarrow.flight.FlightStreamReader) -> list[str]:
        """Return the decision numbers of the next batch; raise StopIteration at the end."""
        batch = reader.read_chunk().data
        if batch is None:  # the outcome comes last, without rows
            raise StopIteration
        return [str(each) for each in batch.column(_NUMBER).to_pylist()]

    def rest(self, reader: pyarrow.flight.FlightStreamReader) -> Batches:
        """Return the decision numbers of every later batch."""
        found: Batches = []
        try:
            while True:
                found.append(self.next(reader))
        except StopIteration:
            return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class _Penalty:
    """The penalty that is repaired: its number, its record's id and its subject."""

    number: str
    record: str
    subject: str


async def stream_loses_a_record(scene: Scene) -> Told:
    """A bank's stream is running when a penalty is repaired; it is in no later batch."""
    async with scene.client(BANK) as bank:
        query = bank.build_query(PENALTIES, PENALTY_FIELDS, subjects=[], **_BANK_ASKS)
    pull = await asyncio.to_thread(Pull, scene, query.SerializeToString())
    try:
        endpoint, before = await asyncio.to_thread(pull.longest)
        victim = _penalty(scene, before[-1][-1])
        reader = await asyncio.to_thread(pull.begin, endpoint)
        first = await asyncio.to_thread(pull.next, reader)
        async with scene.client(AUTHORITY) as authority:
            document = repair_document(scene, victim.record, _FIRST_SEQUENCE)
            repairing = asyncio.create_task(authority.publish_repair(document))
            await _gone_from_new_answers(scene, victim)
            later = await asyncio.to_thread(pull.rest, reader)
            acknowledged = await repairing
    finally:
        pull.close()
    came = [first, *later]
    expect(victim.number not in {each for batch in came for each in batch}, "it is in no batch")
    without = [[each for each in batch if each != victim.number] for batch in before]
    expect(came == without, "every other record of the stream came, in the same batches")
    return Told(
        "A penalty is repaired while a bank's stream is running, and the stream goes on without it",
        [
            f"the stream had {sum(map(len, before))} records in {len(before)} batches;",
            "after its first batch the authority published a repair of one in the last batch;",
            f"{sum(map(len, came))} records came, that one not among them; the repair was",
            f"acknowledged in entry {acknowledged.entry.index} once the batch under way had left",
        ],
        [],
        {"batches": len(came), "records": sum(map(len, came)), "entry": acknowledged.entry.index},
    )


async def receiver_is_recalled(scene: Scene) -> Told:
    """Who received a repaired penalty is told to stop using it, and signs that it did."""
    async with scene.client(AGENCY) as agency, scene.client(PARTNER) as partner:
        notice = await asyncio.wait_for(_first_notice(agency), _NOTICE_S)
        answered = await agency.acknowledge(notice, "PURGED", rows=notice.rows)
        told_partner = (await partner.purge_list(everything=True)).num_rows
    expect(notice.kind == "STOP_USE", "the notice says to stop using the record")
    expect(not told_partner, "who never received it is told nothing")
    rows = [
        {"request": row.request, "batch": str(row.batch), "position": str(row.position)}
        for row in notice.named
    ]
    return Told(
        "The agency that had received the repaired penalty is told to stop using it",
        [
            f"signed notice: {notice.kind}, {notice.reason}; it names rows, never contents",
            f"acknowledged by signature in entry {answered.entry.index}: {answered.status}",
            "the partner, who never received it, has nothing to purge",
        ],
        rows,
        {"kind": notice.kind, "rows": notice.rows, "entry": answered.entry.index},
    )


async def _gone_from_new_answers(scene: Scene, victim: _Penalty) -> None:
    """Ask until a new answer lacks the record: the change is made, and not yet acknowledged."""
    async with scene.client(BANK) as bank:
        for _ in range(_LOOKS):
            answer = await bank.query(PENALTIES, [_NUMBER], subjects=[victim.subject], **_BANK_ASKS)
            if victim.number not in {row[_NUMBER] for row in answer.rows()}:
                return
    raise UnexpectedError("a repaired record is gone from new answers")


async def _first_notice(agency: Client) -> Notice:
    async with aclosing(agency.watch()) as notices:
        async for notice in notices:
            return notice
    raise AssertionError("a watch has no end")


def _penalty(scene: Scene, number: str) -> _Penalty:
    """Return the penalty with a decision number, as the operator knows it."""
    snapshot = scene.stage.loaded[PENALTIES].snapshot
    for batch in range(snapshot.batch_count):
        rows = snapshot.take(snapshot.batch_rows(batch), [_NUMBER, "record_id", "uscc"])
        for row in rows.to_pylist():
            if row[_NUMBER] == number:
                return _Penalty(number, str(row["record_id"]), str(row["uscc"]))
    raise UnexpectedError("the record stands in the snapshot")
