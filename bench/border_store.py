"""A partner's query across the border: from the store apart, marked, encrypted; and without.

One gateway in this process answers the same partner's query of one subject, seven fields, in turns:

    domestic     as if there were no store apart: from the domestic snapshot, unmarked
    apart        from the store apart, marked
    encrypted    likewise, encrypted to the partner's key and opened by its client

One caller, one connection, mutual TLS; client and server share the machine. The ratios are medians
over the median of `domestic`, in the same run. `copy_rows_per_s` is a whole round of copying: sort,
seal, map of records, entry, opening. `lookup_us` is locating one subject and reading its row.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import machine
from gateway.demo.cast import PARTNER, WHITELIST
from gateway.demo.stage import COMPANIES, Stage, set_stage
from gateway.registry import encryption_keys
from gateway.registry.act import Act
from gateway.release.abroad import RecordsAbroad
from gateway.release.world import World
from gateway.server import Gateway
from gateway.snapshot.snapshot import Snapshot
from xinguan.client import Client, DecryptionKey

QUERY = {
    "purpose": "TRADE",
    "scenario": "MUTUAL_RECOGNITION",
    "destination": "SG",
    "operator": "bench-1",
    "case_reference": "bench-case-1",
}
_ROUNDS = 4


class Domestic:
    """What requests from abroad would read if there were no store apart; for comparison only."""

    def __init__(self, world: World) -> None:
        """Take the domestic snapshots."""
        self._library = world.library

    def current(self, product: str) -> Snapshot | None:
        """Return the domestic snapshot."""
        return self._library.current(product)

    def pinned(self, product: str, snapshot_id: str) -> Snapshot | None:
        """Return a domestic snapshot."""
        return self._library.pinned(product, snapshot_id)

    def check_fresh(self, snapshot: Snapshot, limit_s: int, now: int) -> None:
        """Let it pass."""

    def check_holds(
        self, snapshot: Snapshot, columns: Collection[str], tested: Collection[str]
    ) -> None:
        """Let it pass."""


class Open(Gateway):
    """A gateway whose world can be looked at."""

    world: World

    def _world(self, *parts: Any) -> World:
        self.world = super()._world(*parts)
        return self.world


async def turn(client: Client, subjects: list[str], seconds: float, *, sealed: bool) -> list[float]:
    """Ask one by one for so long; return the milliseconds of each answer."""
    took = []
    end = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < end:
        began = time.perf_counter()
        answer = await client.query(
            COMPANIES,
            WHITELIST,
            subjects=[subjects[number % len(subjects)]],
            sealed=sealed,
            **QUERY,
        )
        took.append((time.perf_counter() - began) * 1000)
        assert answer.rows()
        number += 1
    return took


async def measure(stage: Stage, seconds: float) -> dict[str, object]:
    """Serve the deployment and measure the three, in turns."""
    deployment = stage.deployment
    key = DecryptionKey.generate()
    state = deployment.open_state()
    act = Act(int(time.time()), deployment.settings.node)
    state.run(lambda tx: encryption_keys.register(tx, PARTNER.party_id, key.public_jwk(), act))
    state.close()
    took: dict[str, list[float]] = {"domestic": [], "apart": [], "encrypted": []}
    async with Open(deployment) as gateway:
        world = gateway.world
        real: RecordsAbroad = world.abroad
        marks = world.marks
        while gateway.border.rounds < 1:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)
        copy = real.current(COMPANIES)
        assert copy is not None
        subjects = shown(world.library.current(COMPANIES))
        identity = stage.identity(PARTNER)
        async with Client(gateway.address, identity, decryption_key=key) as client:
            for _ in range(_ROUNDS):
                world.abroad, world.marks = Domestic(world), None
                took["domestic"] += await turn(client, subjects, seconds, sealed=False)
                world.abroad, world.marks = real, marks
                took["apart"] += await turn(client, subjects, seconds, sealed=False)
                took["encrypted"] += await turn(client, subjects, seconds, sealed=True)
        lookups = look_up(copy, subjects)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {
        **{f"{name}_ms": round(value, 3) for name, value in medians.items()},
        "ratio": round(medians["apart"] / medians["domestic"], 3),
        "ratio_encrypted": round(medians["encrypted"] / medians["domestic"], 3),
        "lookup_us": round(lookups, 1),
    }


def shown(snapshot: Snapshot | None) -> list[str]:
    """Return organisations that are shown now."""
    assert snapshot is not None
    rows = snapshot.batch_rows(0)
    rows = rows[snapshot.shareable(rows, int(time.time()))]
    table = snapshot.take(rows, ["uscc", "subject_type"]).to_pylist()
    return [row["uscc"] for row in table if row["subject_type"] == "LEGAL_ENTITY"][:500]


def look_up(copy: Snapshot, subjects: list[str]) -> float:
    """Return the microseconds of locating one subject in the copy and reading its row."""
    chosen = np.random.default_rng(1).choice(subjects, 2_000)
    began = time.perf_counter()
    for subject in chosen.tolist():
        copy.take(copy.locate([subject]), ["uscc", "name"])
    return (time.perf_counter() - began) / len(chosen) * 1e6


def copied(stage: Stage) -> float:
    """Return the rows a second of copying the product anew."""
    from gateway.registry.catalogue import Catalogue
    from gateway.registry.registry import Registry
    from gateway.serving.border import copier_of, open_store

    deployment = stage.deployment
    state = deployment.open_state()
    registry = Registry(state)
    try:
        store = open_store(deployment, state)
        copier = copier_of(deployment, state, store, Catalogue.load().products, registry.view)
        act = Act(int(time.time()), deployment.settings.node)
        (deployment.border_directory / COMPANIES / "current").unlink()
        began = time.perf_counter()
        (done,) = copier.round(act, COMPANIES)
        took = time.perf_counter() - began
        assert done.what == "copied"
        copy = store.current(COMPANIES)
        assert copy is not None
        return copy.rows / took
    finally:
        registry.close()
        state.close()


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.border_store", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds a turn")
    parser.add_argument("--companies", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    row: dict[str, object] = {
        "baseline": "the same partner's query from the domestic snapshot, unmarked, not encrypted",
        "companies": given.companies,
        "target": "ratio near 1; encrypted within a few milliseconds",
    }
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "deployment"
        stage = set_stage(root, int(time.time()), companies=given.companies)
        with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
            settings.write("\n[limits]\ncalls_per_second = 1000000\nrows_per_day = 100000000\n")
        stage = Stage(
            type(stage.deployment).open(root), stage.population, stage.loaded, stage.imported
        )
        row["copy_rows_per_s"] = round(copied(stage))
        row |= asyncio.run(measure(stage, given.seconds))
    row["machine"] = machine()["text"]
    print(json.dumps(row, indent=2) if given.json else _table(row))
    return row


def _table(row: dict[str, object]) -> str:
    lines = "\n".join(f"  {name:18} {value}" for name, value in row.items())
    return f"A query across the border ({row['machine']})\n{lines}"


if __name__ == "__main__":
    main()
