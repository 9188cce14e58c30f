"""The demonstration from beginning to end; it leaves nothing running."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.flight
import pyarrow.parquet as pq

from gateway.demo import (
    auditing,
    credential,
    inbound,
    leak,
    persons,
    recognition,
    steps,
    withdrawal,
)
from gateway.demo.abroad import open_border
from gateway.demo.scene import Scene, Step, Told, UnexpectedError, seconds
from gateway.demo.stage import Stage, set_stage
from gateway.domain.errors import XinguanError
from gateway.server import Gateway
from xinguan.client import RefusedError, TransportError

_FAILURES = (
    UnexpectedError, RefusedError, TransportError, XinguanError, pyarrow.flight.FlightError,
)  # fmt: skip
_PORTFOLIO = 50
_SMALL_BATCH = 8  # rows, so that a stream of a small demonstration has several batches
STEPS: tuple[Step, ...] = (
    steps.agency_asks,
    steps.agency_goes_too_far,
    steps.bank_pulls_portfolio,
    steps.partner_asks,
    recognition.partner_reads_a_grade,
    credential.partner_keeps_a_credential,
    persons.persons_are_counted,
    leak.leaked_copy_is_traced,
    inbound.bank_reads_a_foreign_firm,
    steps.penalty_is_repaired,
    withdrawal.stream_loses_a_record,
    withdrawal.receiver_is_recalled,
    auditing.auditor_verifies,
    auditing.auditor_sees_who_asked,
    auditing.one_byte_is_flipped,
)


@dataclass(frozen=True, slots=True)
class Played:
    """One step as it came out.

    Args:
        told: What it tells; of a failed step, what was promised.
        ok: True when it came out as promised.
        seconds: How long it took.
    """

    told: Told
    ok: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "step": self.told.title,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            **self.told.facts,
        }


async def play(root: Path, data: Path | None, tell: Callable[[Played], None]) -> bool:
    """Play every step, telling each as soon as it is over; stop at the first that fails.

    Args:
        root: An empty or missing directory for the deployment.
        data: A published register of enterprises, or None for synthetic companies.
        tell: Called with each step.

    Returns:
        True when every step came out as promised.
    """
    began = time.monotonic()
    stage = set_stage(root, seconds(), published=data, penalty_batch_rows=_SMALL_BATCH)
    open_border(stage, seconds())
    stage = credential.with_issuer(stage)
    tell(Played(_founded(stage), True, time.monotonic() - began))
    tell(Played(_loaded(stage), True, 0.0))
    async with Gateway(stage.deployment) as gateway:
        scene = Scene(stage, gateway.address, _company(stage), _portfolio(stage))
        for step in STEPS:
            began = time.monotonic()
            try:
                told, ok = await step(scene), True
            except _FAILURES as error:
                title, why = f"{step.__name__}: {type(error).__name__}", str(error)
                told, ok = Told(title, [why], [], {"failure": why}), False
            tell(Played(told, ok, time.monotonic() - began))
            if not ok:
                return False
    return True


@contextmanager
def home_directory(home: Path | None) -> Iterator[Path]:
    """Yield a directory for the deployment; without `home` it is gone afterwards."""
    if home is not None:
        yield home
        return
    with TemporaryDirectory(prefix="xinguan-demo-") as scratch:
        yield Path(scratch) / "deployment"


def _founded(stage: Stage) -> Told:
    return Told(
        "A development deployment is made: keys, state, an empty log, an authority beside it",
        [
            f"log: {stage.deployment.log_vkey}",
            (
                "the authority's keys lie beside the gateway's own files; production holds "
                "only their public halves"
            ),
        ],
        [],
        {"log": stage.deployment.log_vkey},
    )


def _loaded(stage: Stage) -> Told:
    rows = [
        {
            "product": name,
            "records": str(loaded.snapshot.manifest.rows),
            "shareable": str(loaded.snapshot.manifest.shareable),
            "snapshot": loaded.snapshot.snapshot_id[:16],
        }
        for name, loaded in sorted(stage.loaded.items())
    ]
    lines = ["adverse records are synthetic and belong to synthetic companies"]
    if stage.imported is not None:
        report = stage.imported
        lines.insert(
            0,
            (
                f"register: {report.rows} rows in = {report.imported} records + "
                f"{report.quarantined} quarantined, each with its number and reason"
            ),
        )
    return Told(
        "Records are admitted as snapshots; only what is known to be shareable can ever leave",
        lines,
        rows,
        {"products": len(rows), "records": sum(int(row["records"]) for row in rows)},
    )


def _company(stage: Stage) -> str:
    """Return the company that is asked about: from the register when one was imported."""
    if stage.imported is None:
        return stage.population.clean
    codes = pq.read_table(stage.imported.path, columns=["uscc"]).column(0)
    return str(codes[0].as_py())


def _portfolio(stage: Stage) -> list[str]:
    """Return codes of synthetic companies, for the bank."""
    snapshot = stage.loaded["public_credit_grade"].snapshot
    codes = snapshot.batch(0).rows.column("uscc").to_pylist()
    return [str(code) for code in dict.fromkeys(codes)][:_PORTFOLIO]
