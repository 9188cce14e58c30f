"""What tests of feeds share: sites with feeds, the provincial platform, and waiting."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.config import Feed
from gateway.demo.stage import Stage
from gateway.registry.documents import sign
from gateway.repair.assurance import ASSURANCE_TYPE, AssuranceClaims
from gateway.repair.publicity import PUBLICITY_TYPE, SCHEMA, PublicityClaims
from tests.gateway.e2e.serving import Desk, Site

UNIT = "11460099000000043A"


def with_settings(stage: Stage, feeds: dict[str, Feed], **limits: Any) -> Stage:
    """Return a stage whose deployment has these feeds and limits, and looks at them often."""
    settings = stage.deployment.settings
    changed = settings.limits.model_copy(update={"health_interval_ms": 20} | limits)
    settings = settings.model_copy(update={"feeds": feeds, "limits": changed})
    return replace(stage, deployment=replace(stage.deployment, settings=settings))


def file_feed(path: Path) -> Feed:
    return Feed(kind="file", path=str(path), poll_ms=20)


def append(path: Path, document: str, kind: str = "decision") -> None:
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps({"v": 1, kind: document}) + "\n")


def assurance(desk: Desk, **claims: Any) -> str:
    values = {"v": 1, "origin": "CREDIT_CHINA", "sequence": 0, "products": ("admin_penalty",)}
    values |= {"as_of": desk.act.now} | claims
    return sign(AssuranceClaims(**values), desk.signing_key, ASSURANCE_TYPE)


async def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until a check gives something, and return it."""
    for _ in range(int(seconds / 0.02)):
        found = check()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


def query(site: Site, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    return site.desk.state.run(lambda tx: tx.execute(sql, values).fetchall())


def refusals(site: Site) -> list[tuple[str, str, str]]:
    return query(site, "SELECT place, rule, code FROM feed_refusals ORDER BY place")


def alarms(site: Site) -> list[tuple[str, str]]:
    return query(site, "SELECT rule, code FROM alarms ORDER BY log_index")


def publicity_of(site: Site, product: str = "admin_penalty") -> pa.Table:
    """Return what an authority would show that agrees with everything that is served."""
    snapshot = site.world.library.current(product)
    batches = [snapshot.batch(number).rows for number in range(snapshot.batch_count)]
    table = pa.Table.from_batches(batches).select(SCHEMA.names).cast(SCHEMA)
    return table.filter(pa.compute.equal(table.column("publicity_state"), "PUBLIC"))


def state_publicity(
    desk: Desk, table: pa.Table, stem: Path, *, key: Any = None, **claims: Any
) -> str:
    """Write a publicity file with its signed statement beside it; return the statement's digest."""
    rows = stem.with_suffix(".parquet")
    pq.write_table(table, rows)
    values = {
        "v": 1,
        "authority": "CREDIT_CHINA",
        "unit": UNIT,
        "product": "admin_penalty",
        "as_of": desk.act.now,
        "records": table.num_rows,
        "sha256": hashlib.sha256(rows.read_bytes()).hexdigest(),
    }
    token = sign(PublicityClaims(**(values | claims)), key or desk.signing_key, PUBLICITY_TYPE)
    fresh = stem.with_suffix(".fresh")
    fresh.write_text(token + "\n", encoding="ascii")
    fresh.rename(stem.with_suffix(".jws"))
    return hashlib.sha256(token.encode()).hexdigest()
