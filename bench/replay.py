"""Replay of recorded decisions: each is made anew from its kept input and compared to the byte.

    python -m bench.replay [--json] [--decisions N] [--opa N]

A log of 100,000 intents and denials over the golden cases of every rule (both sides of each), one
input in five used again, is written to a state as the gateway writes it. Then it is replayed as
`xinguan audit replay` does: entries and inputs are read back, digests verified, nothing decided
from memory. Baseline `bare`: the same inputs through the embedded engine alone, without reading,
verifying, parsing strictly or comparing. The OPA server runs beside on the same two cores;
`--opa N` replays only the first N in it.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit import entries
from audit.canonical import encode_entry
from audit.entries import Use
from audit.replay import Replayed, replay_one
from audit.sequence import read_bodies
from audit.store import Reader
from bench.machine import machine
from gateway.decision.bundle import Bundle, load
from gateway.decision.decider import Decider
from gateway.decision.history import input_of
from gateway.decision.input import at_time
from gateway.decision.keeping import keep, kept, wasm_digest
from gateway.decision.replaying import Remaker
from gateway.decision.wasm import WasmEngine
from gateway.domain.decision import Decision
from gateway.domain.facts import Facts
from gateway.store.state import State
from tests.policies.engines import LAW, opa_binary
from tests.policies.golden_cases import cases

DECISIONS = 100_000
SHARED_BY = 5
TARGET_PER_S = 2_000
AT_ONCE = 32
CHUNK = 1_024


def asked(count: int) -> Iterator[Facts]:
    """Yield requests: every side of every golden case in turn, under ever new licences."""
    bases = [side for case in cases() for side in (case.effect, case.absence)]
    for number in range(count):
        facts = bases[number % len(bases)]
        if facts.licence is not None:
            index = 1_000 + number // (len(bases) * SHARED_BY)
            facts = replace(facts, licence=replace(facts.licence, index=index))
        yield facts


def entry_of(number: int, facts: Facts, decision: Decision) -> bytes:
    """Return the intent or the denial that records a decision."""
    request = facts.request
    use = Use(
        request=f"{number:026d}",
        product=facts.product.name,
        party=facts.caller.party.party_id,
        purpose=request.purpose,
        scenario=request.scenario,
        destination=request.destination,
        bundle=decision.bundle_digest,
        input=decision.input_digest,
        decision=decision.digest,
        subject_count=len(request.subjects),
    )
    if decision.allow:
        fields = {name: action.value for name, action in decision.actions.items()}
        made = entries.intent(
            time=facts.now, node="bench", use=use, snapshot=bytes(32), fields=fields
        )
    else:
        reasons = [(reason.rule, reason.code) for reason in decision.reasons]
        made = entries.denial(time=facts.now, node="bench", use=use, reasons=reasons)
    return encode_entry(made)


async def record(state: State, bundle: Bundle, count: int) -> int:
    """Decide and record; return the number of distinct inputs."""
    decider = Decider(WasmEngine(bundle, deadline_ms=5_000), bundle, LAW, 5_000)
    state.run(lambda tx: keep(tx, bundle))
    distinct: set[str] = set()
    made: list[tuple[bytes, str, bytes]] = []

    def flush() -> None:
        rows = list(made)

        def job(tx: Any) -> None:
            for body, digest, document in rows:
                tx.append_body(body)
                tx.execute(
                    "INSERT INTO decision_inputs (digest, body) VALUES (?, ?)"
                    " ON CONFLICT (digest) DO NOTHING",
                    (digest, document),
                )

        state.run(job)
        made.clear()

    for number, facts in enumerate(asked(count)):
        decision = await decider.decide(facts)
        distinct.add(decision.input_digest)
        document = decider.input_for(decision.input_digest)
        made.append((entry_of(number, facts, decision), decision.input_digest, document))
        if len(made) >= CHUNK:
            flush()
    flush()
    await decider.close()
    return len(distinct)


def read(connection: Reader, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield the entries."""
    for first in range(0, count, CHUNK):
        for index, _, body in read_bodies(connection, first, min(first + CHUNK, count)):
            yield index, body


async def replayed(
    connection: Reader, compiled: str, count: int, opa: Path | None
) -> tuple[Replayed, float, float]:
    """Replay the first entries; return what came of it, its seconds and its processor seconds."""
    found = Replayed()
    group: list[Any] = []
    began, cpu = time.perf_counter(), time.process_time()
    async with Remaker(
        lambda digest: input_of(connection, digest),
        lambda digest: kept(connection, digest),
        lambda _: compiled,
        opa,
    ) as remaker:
        for index, body in read(connection, count):
            if opa is None:
                await replay_one(index, body, remaker.decide, found)
                continue
            group.append(replay_one(index, body, remaker.decide, found))
            if len(group) >= AT_ONCE:
                await asyncio.gather(*group)
                group.clear()
        await asyncio.gather(*group)
        spent, used = time.perf_counter() - began, time.process_time() - cpu
    return found, spent, used


async def bare(connection: Reader, bundle: Bundle, count: int) -> float:
    """Return evaluations per second of the engine alone."""
    documents = [
        (bytes(row[0]), json.loads(body)["time"])
        for row, (_, body) in zip(
            connection.execute("SELECT body FROM decision_inputs"),
            read(connection, count),
            strict=False,
        )
    ]
    engine = WasmEngine(bundle, deadline_ms=5_000)
    began = time.perf_counter()
    for document, now in documents:
        engine.evaluate_now(at_time(document, now))
    rate = len(documents) / (time.perf_counter() - began)
    await engine.close()
    return rate


async def measure(directory: Path, count: int, in_opa: int) -> dict[str, Any]:
    """Run everything and return the results."""
    bundle = load()
    state = State.open(directory / "state.sqlite3")
    try:
        distinct = await record(state, bundle, count)
        with closing(state.connect()) as connection:
            rate = await bare(connection, bundle, min(count, 20_000))
            rows = {}
            for name, opa, number in (("embedded", None, count), ("opa", opa_binary(), in_opa)):
                if not number or (opa is not None and not opa.exists()):
                    continue
                found, spent, used = await replayed(connection, wasm_digest(bundle), number, opa)
                rows[name] = {
                    "decisions": found.decisions,
                    "identical": found.identical,
                    "diverged": len(found.diverged),
                    "missing": len(found.missing),
                    "per_s": found.decisions / spent,
                    "seconds": spent,
                    "per_cpu_s": found.decisions / used,
                    "ratio_to_bare": found.decisions / spent / rate,
                }
    finally:
        state.close()
    return {"distinct_inputs": distinct, "bare_per_s": rate, "target_per_s": TARGET_PER_S, **rows}


def main() -> int:
    """Run the benchmark; the exit code is 1 when a decision diverged or was missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    parser.add_argument("--opa", type=int, help="how many in OPA; by default all, 0 for none")
    given = parser.parse_args()
    in_opa = given.decisions if given.opa is None else min(given.opa, given.decisions)
    with tempfile.TemporaryDirectory() as directory:
        results = asyncio.run(measure(Path(directory), given.decisions, in_opa))
    if given.json:
        print(json.dumps({"bench": "replay", "machine": machine(), "results": results}))
    else:
        print(f"replay ({machine()['text']}); {results['distinct_inputs']:,} distinct inputs")
        print(f"bare: the embedded engine alone  {results['bare_per_s']:>8,.0f} /s   1.00")
        for name in ("embedded", "opa"):
            if (row := results.get(name)) is not None:
                print(
                    f"{name:<9} {row['decisions']:>8,} decisions   {row['per_s']:>8,.0f} /s   "
                    f"{row['ratio_to_bare']:.2f}   "
                    f"{row['per_cpu_s']:,.0f} a processor second   identical {row['identical']:,}, "
                    f"diverged {row['diverged']}, missing {row['missing']}"
                )
    engines = [results[name] for name in ("embedded", "opa") if name in results]
    return int(any(row["identical"] != row["decisions"] for row in engines))


if __name__ == "__main__":
    sys.exit(main())
