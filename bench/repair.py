"""Publishing repairs: how long an acknowledgement takes, and how many a second.

Alone: one serving process. Together: two processes on the same state, so that each publish waits
until the other one has confirmed it too. Latency is of publishes one after another over mutual TLS,
the signed decision verified, durable and in effect before the answer. Two rates: of many callers,
each with one publish under way, in the order of several origins' sequences; and of one stream of
decisions (`PublishStream`), as a provincial feed hands them in. Beside the rate stands how much
processor time a publish took of the serving process, which other work on the machine changes
less. The baseline is a bare durable append of the log in the same directory, one after another:
the part of a single publish that no design can save. Ratios are publishes a second over those.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import numpy as np

from audit.journal import Journal
from bench.machine import machine
from gateway.demo.cast import AUTHORITY
from gateway.demo.stage import Stage, set_stage
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import sign
from gateway.repair.decision import REPAIR_TYPE, Origin, RepairClaims, Verdict
from xinguan.v1 import repair_pb2

_PUBLISH = "/xinguan.v1.RepairService/Publish"
_ORIGINS = (
    (Origin.AUTHORITY, Verdict.APPROVED),
    (Origin.CREDIT_CHINA, Verdict.APPROVED),
    (Origin.RECONSIDERATION, Verdict.WITHDRAWN),
    (Origin.COURT_ANNULMENT, Verdict.WITHDRAWN),
)
_WINDOW = 16  # publishes of one origin under way at once
_IN_MESSAGE = 16  # decisions of one message of a stream
_STREAM = "/xinguan.v1.RepairService/PublishStream"
_numbers, _sequence = itertools.count(1), itertools.count(1)


class Decisions:
    """Signed decisions on records that are shared now, each used once."""

    def __init__(self, stage: Stage) -> None:
        snapshot = stage.loaded["admin_penalty"].snapshot
        rows = np.arange(snapshot.rows, dtype=np.int64)
        shared = rows[snapshot.shareable(rows, int(time.time()))]
        names = snapshot.take(shared, ["record_id"]).column(0).to_pylist()
        self._records: Iterator[str] = iter(names)
        self._key = read_document_key(stage.deployment.dev_authority / AUTHORITY_KEY)

    def next(self, origin: Origin, verdict: Verdict) -> bytes:
        """Return a request to publish the next one."""
        claims = RepairClaims(
            repair_id=f"bench-{next(_numbers)}",
            origin=origin,
            sequence=time.time_ns() // 1_000_000 * 1_000 + next(_sequence),
            product="admin_penalty",
            record_id=next(self._records),
            verdict=verdict,
            deciding_unit="11460099000000043A",
            decided_at=int(time.time()),
        )
        token = sign(claims, self._key, REPAIR_TYPE)
        return repair_pb2.PublishRequest(decision=token).SerializeToString()


async def latencies(channel: grpc.aio.Channel, decisions: Decisions, count: int) -> list[float]:
    """Return how long each of some publishes took, one after another, ascending."""
    publish, took = channel.unary_unary(_PUBLISH), []
    for _ in range(count):
        message = decisions.next(*_ORIGINS[0])
        began = time.perf_counter()
        await publish(message)
        took.append(time.perf_counter() - began)
    return sorted(took)


async def rate(channel: grpc.aio.Channel, decisions: Decisions, count: int) -> float:
    """Return publishes a second with several origins and several of each under way."""
    publish = channel.unary_unary(_PUBLISH)
    queues = [[decisions.next(*origin) for _ in range(count // 4)] for origin in _ORIGINS]
    refused = 0

    async def one(message: bytes, window: asyncio.Semaphore) -> None:
        nonlocal refused
        try:
            await publish(message)
        except grpc.aio.AioRpcError:
            refused += 1
        finally:
            window.release()

    async def origin(messages: list[bytes]) -> None:
        window = asyncio.Semaphore(_WINDOW)
        async with asyncio.TaskGroup() as group:
            for message in messages:
                await window.acquire()
                group.create_task(one(message, window))

    began = time.perf_counter()
    await asyncio.gather(*(origin(messages) for messages in queues))
    done = sum(map(len, queues)) - refused
    assert refused * 20 < done, "publishes overtook one another"
    return done / (time.perf_counter() - began)


async def stream_rate(channel: grpc.aio.Channel, decisions: Decisions, count: int) -> float:
    """Return decisions a second of one stream, from the first handed in to the last outcome."""
    requests = [decisions.next(*_ORIGINS[0]) for _ in range(count)]
    tokens = [repair_pb2.PublishRequest.FromString(each).decision for each in requests]

    async def messages() -> AsyncIterator[bytes]:
        for first in range(0, count, _IN_MESSAGE):
            some = tokens[first : first + _IN_MESSAGE]
            yield repair_pb2.PublishStreamRequest(decisions=some).SerializeToString()

    began, done = time.perf_counter(), 0
    async for message in channel.stream_stream(_STREAM)(messages()):
        outcomes = repair_pb2.PublishStreamResponse.FromString(message).outcomes
        done += sum(one.HasField("published") for one in outcomes)
    assert done == count, "decisions were refused"
    return count / (time.perf_counter() - began)


@contextmanager
def serving(root: Path, *words: str) -> Iterator[tuple[str, int]]:
    """Serve a deployment with one process; give its address and its number."""
    program = Path(sys.executable).parent / "xinguan"
    command = [str(program), "serve", "--home", str(root), "--json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["listening"], server.pid
        finally:
            server.terminate()


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(
    stage: Stage, address: str, pid: int, decisions: Decisions, count: int
) -> dict[str, float]:
    """Measure one setting."""
    credentials = stage.identity(AUTHORITY).credentials()
    async with grpc.aio.secure_channel(address, credentials) as channel:
        await latencies(channel, decisions, 20)
        took = await latencies(channel, decisions, count)
        await rate(channel, decisions, count)  # the first of many at once open what the rest use
        before = processor_s(pid)
        many = await rate(channel, decisions, count * 8)
        between = processor_s(pid)
        streamed = await stream_rate(channel, decisions, count * 8)
        after = processor_s(pid)
    return {
        "p50_ms": round(took[len(took) // 2] * 1000, 1),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000, 1),
        "one_by_one_per_s": round(len(took) / sum(took)),
        "many_callers_per_s": round(many),
        "many_callers_cpu_ms": round((between - before) * 1000 / (count * 8), 2),
        "stream_per_s": round(streamed),
        "stream_cpu_ms": round((after - between) * 1000 / (count * 8), 2),
    }


def durable_append_ms(path: Path) -> float:
    """Return the median time of a bare durable append, in milliseconds."""
    journal = Journal(path)
    took = []
    for number in range(200):
        entry = {"v": 1, "kind": "bench", "time": number, "node": "bench"}
        began = time.perf_counter()
        journal.run(lambda tx, entry=entry: tx.append(entry))
        took.append(time.perf_counter() - began)
    journal.close()
    return round(statistics.median(took) * 1000, 2)


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.repair", description=__doc__)
    parser.add_argument("--publishes", type=int, default=250, help="one after another, a setting")
    parser.add_argument("--alone", action="store_true", help="one process only")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "deployment"
        # Somewhat more than a fifth of the synthetic penalties are shared.
        settings = 1 if given.alone else 2
        stage = set_stage(root, int(time.time()), companies=given.publishes * 88 * settings + 500)
        decisions = Decisions(stage)
        append_ms = durable_append_ms(Path(scratch) / "bare.sqlite3")
        row: dict[str, object] = {
            "baseline_append_ms": append_ms,
            "target": "p99 < 50 ms alone, < 1 s with replicas; 1,000 publishes/s",
        }
        for name, others in (("alone", ()), ("two_processes", ("follower",)))[:settings]:
            with ExitStack() as stack:
                address, pid = stack.enter_context(serving(root))
                for other in others:
                    words = ("--node", other, "--listen", "127.0.0.1:0")
                    stack.enter_context(serving(root, *words))
                measured = asyncio.run(run(stage, address, pid, decisions, given.publishes))
            ratio = append_ms / 1000
            measured["many_callers_ratio"] = round(measured["many_callers_per_s"] * ratio, 2)
            measured["stream_ratio"] = round(measured["stream_per_s"] * ratio, 2)
            row[name] = measured
    print(json.dumps(row, indent=2) if given.json else _table(row))
    return row


def _table(row: dict[str, object]) -> str:
    lines = [f"Publishing repairs ({machine()['text']})"]
    for name, value in row.items():
        if isinstance(value, dict):
            lines += [f"  {name}", *(f"    {key:22} {each:>10,}" for key, each in value.items())]
        else:
            lines.append(f"  {name:22} {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
