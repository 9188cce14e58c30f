"""Field enforcement: what it costs beside handing the batch on as it is.

    python -m bench.enforce [--json]

Baseline `bare`: the same rows and columns serialised for the wire without any enforcement.
Ours: `allow` (no field transformed) and `four` (20 fields, of which one pseudonym, two masked,
one generalised), then serialised. `batch` has 32,768 rows, `call` has one.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from bench.machine import machine
from gateway.domain.product import Field
from gateway.domain.vocabulary import BorderDefault, FieldAction, FieldClass
from gateway.release.enforce import Enforcer, compile_enforcer, edge_check
from gateway.release.pseudonym import ConsumerKeys

ROWS = 32_768
KEYS = ConsumerKeys.derive(bytes(32), "bench")
FOUR = {
    "f0": FieldAction.PSEUDONYM,
    "f1": FieldAction.MASK,
    "f2": FieldAction.MASK,
    "f3": FieldAction.GENERALISE,
}


def field(name: str, kind: str) -> Field:
    """Return a field of the benchmark's contract."""
    return Field(name, "名", name, kind, FieldClass.P0, "u", BorderDefault.ALLOW)


FIELDS = [field(f"f{n}", "integer" if n % 2 else "string") for n in range(20)]


def rows_of(count: int) -> pa.RecordBatch:
    """Return rows: ten text fields (the first a USCC), ten whole numbers."""
    draw = np.random.default_rng(1)
    codes = [f"91460000MA5T{n:06d}" for n in range(count)]
    columns = {"f0": pa.array(codes)}
    for place in range(1, 20):
        numbers = pa.array(draw.integers(0, 10**9, count))
        columns[f"f{place}"] = numbers if place % 2 else numbers.cast(pa.string())
    return pa.record_batch(columns)


def us(call: Callable[[], Any], times: int) -> float:
    """Return microseconds a call, the median of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - began) / times * 1e6)
    return float(np.median(rounds))


def compiled(actions: dict[str, FieldAction]) -> Enforcer:
    """Return the enforcer; fields without an action are allowed."""
    plan = [(f, actions.get(f.name, FieldAction.ALLOW)) for f in FIELDS]
    return compile_enforcer(plan, KEYS)


def measure() -> dict[str, Any]:
    """Return microseconds and ratios for one row and for a batch."""
    allow, four = compiled({}), compiled(FOUR)
    results: dict[str, Any] = {}
    for name, batch, times in (("call", rows_of(1), 2000), ("batch", rows_of(ROWS), 20)):
        bare = us(lambda b=batch: b.serialize(), times)  # type: ignore[misc]  # default binds it
        ways = {
            way: us(lambda b=batch, e=enforcer: e.apply(b).serialize(), times)  # type: ignore[misc]  # default binds it
            for way, enforcer in (("allow", allow), ("four", four))
        }
        results[name] = {
            "bare_us": round(bare, 1),
            **{f"{way}_us": round(value, 1) for way, value in ways.items()},
            **{f"{way}_added_us": round(value - bare, 1) for way, value in ways.items()},
            **{f"{way}_of_bare": round(bare / value, 3) for way, value in ways.items()},
            "four_rows_per_s": round(batch.num_rows / ways["four"] * 1e6),
        }
    stated = {f.name: FOUR.get(f.name, FieldAction.ALLOW) for f in FIELDS}
    results["compile_us"] = round(us(lambda: compiled(FOUR), 200), 1)
    results["edge_check_us"] = round(us(lambda: edge_check(four.schema, stated), 500), 1)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    settings = parser.parse_args()
    results = measure()
    if settings.json:
        print(json.dumps({"bench": "enforce", "machine": machine(), "results": results}))
        return
    print(f"enforcement of 20 fields ({machine()['text']})")
    for name, lines in (("call", "one row"), ("batch", f"{ROWS:,} rows")):
        print(f"\n{lines}")
        for key, value in results[name].items():
            print(f"  {key:16} {value:>12,}")
    print(f"\ncompile {results['compile_us']} us, edge check {results['edge_check_us']} us")


if __name__ == "__main__":
    main()
