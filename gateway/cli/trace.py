"""`xinguan trace`: from a leaked copy to the delivery that it came from (M23, R23)."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from audit import entries
from audit.reader import LogReader
from gateway.cli.console import HERE, AsJson, Home, Session, because, instant, session, show
from gateway.release.marks import open_marks
from gateway.serving.border import open_store
from gateway.trace.leak import read_leak
from gateway.trace.places import CopyPlaces
from gateway.trace.traced import Delivery, Traced
from gateway.trace.tracer import THRESHOLD, Tracer

_SHOWN = 20
_WORDS = {
    "named": "The copy comes from the deliveries named, under the stated bound.",
    "cannot_tell": "Records of it were delivered, but no mark names a delivery: it can't be told.",
    "unknown": "No delivery across the border held anything of it that can be recognised.",
}


def trace(
    copy: Annotated[Path, typer.Argument(help="JSON, CSV, Arrow or Parquet; a part will do.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is logged.")] = "",
    bound: Annotated[
        float, typer.Option("--bound", min=1e-30, max=1e-3, help="Chance of naming wrongly.")
    ] = THRESHOLD,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Find the delivery that a leaked copy came from, or say plainly that it can't be told.

    Exit code 0 when a delivery or a party is named, 1 when nobody is.
    """
    leak = read_leak(copy)
    with session(home) as opened:
        _log_reading(opened, reason)
        deployment = opened.deployment
        connection = opened.state.connect()
        try:
            with connection.moment():
                traced = Tracer(
                    connection,
                    LogReader(deployment.log_directory, deployment.log_vkey),
                    CopyPlaces(
                        deployment.snapshots_directory, open_store(deployment, opened.state)
                    ),
                    open_marks(deployment.directory / deployment.settings.files.mark_key),
                ).trace(leak, bound)
        finally:
            connection.close()
    _print(traced, bound, as_json)
    if traced.verdict != "named":
        raise typer.Exit(1)


def _log_reading(opened: Session, reason: str) -> None:
    """Whoever looks into who received what is in the log, like every reader."""
    act = because(opened.act, reason)
    opened.run(
        lambda tx: tx.append(
            entries.audit_read(
                time=act.now, node=act.node, actor=act.actor, what="trace", reason=act.reason
            )
        )
    )


def _print(traced: Traced, bound: float, as_json: bool) -> None:
    told: dict[str, Any] = {
        "verdict": traced.verdict,
        "means": _WORDS[traced.verdict],
        "named": [_told(each) for each in traced.named],
        "parties": [asdict(each) for each in traced.parties],
        "candidates": [_told(each) for each in traced.candidates],
        "rows": traced.rows,
        "known_rows": traced.known,
        "misplaced_marks": list(traced.misplaced),
        "forged_marks": traced.forged,
        "compared_deliveries": traced.compared,
        "bound": bound,
    }
    if as_json:
        show(told, as_json, title="Trace")
        return
    console = Console()
    console.print(told["means"], markup=False)
    lines = ("rows", "known_rows", "compared_deliveries", "forged_marks", "misplaced_marks")
    show({name: told[name] for name in lines}, as_json, title="Copy")
    for name in ("named", "parties", "candidates"):
        if told[name]:
            show(told[name][:_SHOWN], as_json, title=name)


def _told(each: Delivery) -> dict[str, Any]:
    return {
        "request": each.request,
        "party": each.party,
        "time": instant(each.time),
        "entry": each.intent,
        "product": each.product,
        "rows": each.rows,
        "how": list(each.how),
        "confidence": 1.0 - each.bound,
        "false_positive_bound": each.bound,
    }
