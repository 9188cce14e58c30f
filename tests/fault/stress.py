"""Two replicas under queries, streams, repairs, stops, kills and restarts; then the checker.

    python -m tests.fault.stress [--repairs N] [--deliveries N] [--seed N] [--json] [--mutant NAME]

Two origins publish one decision after another, two hand theirs in by streams that break off with
the node and go on at the other one. Every few seconds a line on standard error says how far it is.
By default it goes on to 10,000 repairs and 1,000,000 delivered records, whichever takes longer.
Exit code 1 when a client got what it must not, or when fewer were done than asked for.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from gateway.repair.decision import Origin, Verdict
from gateway.snapshot.library import SnapshotLibrary
from tests.fault.checker import IN_FLIGHT_S, Repair, apart, check
from tests.fault.nodes import (
    GRADE,
    LEASE_MS,
    PENALTY,
    Delivery,
    Node,
    Record,
    Site,
    ask,
    make_site,
    stream,
)
from xinguan.v1 import repair_pb2

_PUBLISH = "/xinguan.v1.RepairService/Publish"
_ORIGINS = (
    (Origin.AUTHORITY, Verdict.APPROVED),
    (Origin.CREDIT_CHINA, Verdict.APPROVED),
    (Origin.RECONSIDERATION, Verdict.WITHDRAWN),
    (Origin.COURT_ANNULMENT, Verdict.WITHDRAWN),
)
_STREAM = "/xinguan.v1.RepairService/PublishStream"
_PAUSE_S = 0.2
_STREAMED = 24  # decisions of one stream, at most
_TOLD_EVERY_S = 5.0
_BEAT_S = 0.05
_AHEAD = 0.02  # of the repairs, before as large a share of the records is delivered


@dataclass
class Run:
    """What one run does and saw."""

    site: Site
    nodes: list[Node]
    dice: random.Random
    wanted_repairs: int
    wanted_deliveries: int
    left: deque[Record] = field(default_factory=deque)
    recent: deque[Record] = field(default_factory=lambda: deque(maxlen=64))
    repairs: list[Repair] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    records: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    stops: int = 0
    restarts: int = 0
    reloads: int = 0
    streams: int = 0
    wanted_disturbances: int = 0
    disturbances: int = 0
    stalls: list[tuple[float, float]] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        """True when as many repairs and disturbances as wanted are done."""
        return (
            len(self.repairs) >= self.wanted_repairs
            and self.disturbances >= self.wanted_disturbances
        )

    @property
    def done(self) -> bool:
        return self.enough and self.records >= self.wanted_deliveries

    @property
    def ahead(self) -> bool:
        """True when a larger share of the repairs is done than of the deliveries."""
        repaired = len(self.repairs) / self.wanted_repairs
        return repaired > self.records / self.wanted_deliveries + _AHEAD

    async def next(self, count: int) -> list[Record]:
        """Return the next records to be repaired, no faster than others are delivered.

        So that repairs and deliveries meet all the time; none when the run has enough.
        """
        while self.ahead and not self.enough:  # noqa: ASYNC110 - two numbers that change all the time
            await asyncio.sleep(_PAUSE_S / 4)
        some = 0 if self.enough else min(count, len(self.left))
        return [self.left.popleft() for _ in range(some)]

    def take(self, found: list[Delivery]) -> None:
        self.deliveries += found
        self.records += sum(len(one.keys) for one in found)

    def failed(self, error: BaseException) -> None:
        told = error.details() if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
        word = str(told).split(":", 1)[0][:40]
        self.refused[word] = self.refused.get(word, 0) + 1


async def publish_all(run: Run, origin: Origin, verdict: Verdict) -> None:
    """Publish one record after another for one origin, each until it is acknowledged."""
    channels = [node.channel(run.site.authority) for node in run.nodes]
    asking = [node.channel(run.site.agency.identity) for node in run.nodes]
    try:
        while some := await run.next(1):
            (record,) = some
            decision = run.site.desk.repair(
                PENALTY, record.record_id, origin=origin, verdict=verdict
            )
            message = repair_pb2.PublishRequest(decision=decision).SerializeToString()
            sent_at = time.monotonic()
            number = run.dice.randrange(len(channels))
            while True:
                try:
                    raw = await channels[number].unary_unary(_PUBLISH)(message, timeout=15)
                    break
                except grpc.aio.AioRpcError as error:
                    run.failed(error)
                    await asyncio.sleep(_PAUSE_S)
                    number = (number + 1) % len(channels)
            acked_at = time.monotonic()
            index = repair_pb2.PublishResponse.FromString(raw).entry.index
            run.repairs.append(Repair(record, sent_at, index, acked_at))
            run.recent.append(record)
            # The other node at once, for the very record: the sharpest question there is.
            other = run.nodes[1 - number]
            product = PENALTY if run.dice.random() < 0.7 else GRADE
            with suppress(grpc.aio.AioRpcError):
                run.take(
                    await ask(asking[1 - number], other.name, run.site, product, [record.subject])
                )
    finally:
        for channel in (*channels, *asking):
            await channel.close()


async def stream_decisions(run: Run, origin: Origin, verdict: Verdict) -> None:
    """Hand decisions in by streams for one origin; what has no outcome goes to the other node."""
    channels = [node.channel(run.site.authority) for node in run.nodes]
    asking = [node.channel(run.site.agency.identity) for node in run.nodes]
    number = run.dice.randrange(len(channels))
    try:
        while some := await run.next(run.dice.randint(1, _STREAMED)):
            tokens = [
                run.site.desk.repair(PENALTY, one.record_id, origin=origin, verdict=verdict)
                for one in some
            ]
            sent_at = time.monotonic()
            done = 0
            while done < len(some):
                run.streams += 1
                try:
                    async for outcome in _outcomes(channels[number], tokens[done:]):
                        index = outcome.published.entry.index
                        run.repairs.append(Repair(some[done], sent_at, index, time.monotonic()))
                        run.recent.append(some[done])
                        done += 1
                except (grpc.aio.AioRpcError, _TryAgainError, TimeoutError) as error:
                    run.failed(error)
                    await asyncio.sleep(_PAUSE_S)
                    number = (number + 1) % len(channels)
            other = 1 - number
            product = PENALTY if run.dice.random() < 0.7 else GRADE
            subjects = sorted({one.subject for one in some})
            with suppress(grpc.aio.AioRpcError, IndexError):
                run.take(
                    await ask(asking[other], run.nodes[other].name, run.site, product, subjects)
                )
    finally:
        for channel in (*channels, *asking):
            await channel.close()


class _TryAgainError(Exception):
    """A decision could not be done now."""


async def _outcomes(
    channel: grpc.aio.Channel, tokens: list[str]
) -> AsyncIterator[repair_pb2.PublishOutcome]:
    """Hand decisions in by one stream, three a message; yield their acknowledgements.

    Raises:
        _TryAgainError: One could not be done now.
    """

    async def requests() -> AsyncIterator[bytes]:
        for first in range(0, len(tokens), 3):
            some = tokens[first : first + 3]
            yield repair_pb2.PublishStreamRequest(decisions=some).SerializeToString()

    async for raw in channel.stream_stream(_STREAM)(requests(), timeout=15):
        for outcome in repair_pb2.PublishStreamResponse.FromString(raw).outcomes:
            if not outcome.HasField("published"):
                assert outcome.refused.try_again, outcome
                raise _TryAgainError(outcome.refused.code)
            yield outcome


async def tell_always(run: Run, began: float) -> None:
    """Say every few seconds how far the run is, and how long it may still take."""
    while True:
        await asyncio.sleep(_TOLD_EVERY_S)
        took = time.monotonic() - began
        parts = (len(run.repairs) / run.wanted_repairs, run.records / run.wanted_deliveries)
        left = f"{took / min(parts) - took:,.0f} s" if min(parts) else "?"
        print(  # noqa: T201 - a program's answer
            f"{took:6,.0f} s  {len(run.repairs):,} repairs  {run.records:,} records delivered  "
            f"{run.kills} kills  {run.stops} pauses  {run.restarts} restarts  {left} left",
            file=sys.stderr,
            flush=True,
        )


async def note_stalls(run: Run) -> None:
    """Note when this process itself stood still: what arrived meanwhile is read afterwards."""
    before = time.monotonic()
    while True:
        await asyncio.sleep(_BEAT_S)
        now = time.monotonic()
        if now - before > 2 * _BEAT_S:
            run.stalls.append((before, now))
        before = now


async def ask_always(run: Run, node: Node) -> None:
    """Query for records that were repaired a moment ago, and for others."""
    channel = node.channel(run.site.agency.identity)
    try:
        while not run.done:
            some = run.dice.sample(run.site.records, 40)
            subjects = {one.subject for one in (*list(run.recent)[-20:], *some)}
            product = PENALTY if run.dice.random() < 0.6 else GRADE
            try:
                run.take(await ask(channel, node.name, run.site, product, sorted(subjects)))
            except (grpc.aio.AioRpcError, IndexError) as error:
                run.failed(error)
                await asyncio.sleep(_PAUSE_S)
    finally:
        await channel.close()


async def stream_always(run: Run, node: Node) -> None:
    """Read the whole product again and again over Flight."""
    channel = node.channel(run.site.agency.identity)
    try:
        while not run.done:
            got: list[Delivery] = []
            try:
                product = PENALTY if run.dice.random() < 0.8 else GRADE
                await stream(channel, node.name, run.site, product, got)
            except grpc.aio.AioRpcError as error:
                run.failed(error)
                await asyncio.sleep(_PAUSE_S)
            run.take(got)
    finally:
        await channel.close()


async def disturb(run: Run) -> None:
    """Stop, kill and restart nodes, and switch snapshots, one thing after another.

    On a machine that needs long for a start, nothing would ever come to its end between them: a
    short run has a bounded number, and isn't done before the last.
    """
    library = SnapshotLibrary(run.site.stage.deployment.snapshots_directory)
    while run.disturbances < (run.wanted_disturbances or sys.maxsize):
        await asyncio.sleep(run.dice.uniform(0.5, 3.0))
        node = run.dice.choice(run.nodes)
        kind = run.dice.choices(("stop", "kill", "restart", "reload"), (5, 2, 1, 4))[0]
        if kind == "stop":
            # From a hiccup to well beyond the lease.
            run.stops += 1
            await node.pause(run.dice.uniform(0.05, 2.5 * LEASE_MS / 1000))
        elif kind == "kill":
            run.kills += 1
            await node.kill()
            await node.start()
        elif kind == "restart":
            run.restarts += 1
            await node.close()
            await node.start()
        else:
            run.reloads += 1
            product = run.dice.choice((PENALTY, GRADE))
            library.activate(product, run.dice.choice(run.site.snapshots[product]))
        run.disturbances += 1


async def stress(site: Site, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run and check; return what there is to tell."""
    dice = random.Random(arguments.seed)  # noqa: S311 - a reproducible disturbance
    nodes = [Node(site.home, name, mutant=arguments.mutant) for name in ("alpha", "beta")]
    run = Run(site, nodes, dice, arguments.repairs, arguments.deliveries)
    run.left.extend(dice.sample(site.records, len(site.records)))
    began = time.monotonic()
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        began = time.monotonic()
        run.wanted_disturbances = arguments.disturbances
        disturbing = asyncio.create_task(disturb(run)) if arguments.disturb else None
        telling = asyncio.create_task(tell_always(run, began))
        noting = asyncio.create_task(note_stalls(run))
        work = [
            *(publish_all(run, *origin) for origin in _ORIGINS[:2]),
            *(stream_decisions(run, *origin) for origin in _ORIGINS[2:]),
            *(ask_always(run, node) for node in nodes),
            *(stream_always(run, node) for node in nodes),
        ]
        with suppress(TimeoutError):  # what was done until then is checked all the same
            await asyncio.wait_for(asyncio.gather(*work), arguments.longest_s)
        telling.cancel()
        noting.cancel()
        if disturbing is not None:
            disturbing.cancel()
            (trouble,) = await asyncio.gather(disturbing, return_exceptions=True)
            if isinstance(trouble, Exception):
                # A node that doesn't start again: the run is not complete, what it did is checked.
                run.failed(trouble)
                run.wanted_repairs = sys.maxsize
    finally:
        took = time.monotonic() - began
        for node in nodes:
            with suppress(ProcessLookupError):
                node.wake_it()
            await node.kill()
    pauses = {node.name: apart([*node.pauses, *run.stalls]) for node in nodes}
    violations = check(run.repairs, run.deliveries, pauses)
    waits = sorted(repair.acked_at - repair.sent_at for repair in run.repairs)
    return {
        "deliveries": run.records,
        "batches": len(run.deliveries),
        "repairs": len(run.repairs),
        "publish_streams": run.streams,
        "kills": run.kills,
        "pauses": run.stops,
        "restarts": run.restarts,
        "reloads": run.reloads,
        "publish_p50_ms": round(waits[len(waits) // 2] * 1000, 1),
        "publish_p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 1),
        "in_flight_bound_s": IN_FLIGHT_S,
        "refused": dict(sorted(run.refused.items())),
        "seconds": round(took, 1),
        "seed": arguments.seed,
        "complete": run.done,
        "violations": len(violations),
        "first": [str(one) for one in violations[:5]],
    }


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a run."""
    parser = argparse.ArgumentParser(prog="tests.fault.stress", description=__doc__)
    parser.add_argument("--repairs", type=int, default=10_000)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument(
        "--companies", type=int, default=0, help="by default half more than repairs"
    )
    parser.add_argument("--batch-rows", type=int, default=256)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--longest-s", type=float, default=3_600)
    parser.add_argument("--mutant", default="", help="a safeguard to take out, see tests.fault")
    parser.add_argument("--no-disturb", dest="disturb", action="store_false")
    parser.add_argument("--disturbances", type=int, default=0, help="so many; 0: until the end")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run, print what was seen, and return the exit code."""
    arguments = parse(words)
    with tempfile.TemporaryDirectory() as scratch:
        site = make_site(
            Path(scratch) / "home",
            companies=arguments.companies or arguments.repairs * 3 // 2 + 100,
            batch_rows=arguments.batch_rows,
        )
        try:
            told = asyncio.run(stress(site, arguments))
        finally:
            site.desk.close()
    print(json.dumps(told, ensure_ascii=False, indent=2) if arguments.json else _text(told))  # noqa: T201 - a program's answer
    return 1 if told["violations"] or not told["complete"] else 0


def _text(told: dict[str, Any]) -> str:
    return "\n".join(f"{name:18} {value}" for name, value in told.items())


if __name__ == "__main__":
    sys.exit(main())
