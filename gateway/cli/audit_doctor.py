"""`xinguan audit doctor`: what log, index and evidence don't agree on. It repairs nothing."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from audit.errors import AuditError
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.cli.console import HERE, AsJson, Home, session, show
from gateway.domain.errors import UnavailableError
from gateway.subjects.reconciliation import MEMORY, limits_of, reconcile, summary


def doctor(
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Read the whole log again.")
    ] = False,
    grace_s: Annotated[
        int | None,
        typer.Option("--grace", min=0, help="Seconds an intent may stay open; else as set."),
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Reconcile the log with what lies beside it; exit code 1 when something does not agree."""
    bar = Progress(
        TextColumn("reconciling"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with session(home) as opened, bar:
        deployment = opened.deployment
        settings = deployment.settings.limits
        if grace_s is not None:
            settings = settings.model_copy(update={"open_intent_grace_s": grace_s})
        task = bar.add_task("entries", total=None)
        connection = opened.state.connect()
        try:
            found = reconcile(
                LogReader(deployment.log_directory, deployment.log_vkey),
                connection,
                OpeningStore(deployment.secrets().opening_key),
                limits_of(settings),
                deployment.state_path.parent / MEMORY,
                opened.act.now,
                from_start=from_start,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        except AuditError as error:
            raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
        finally:
            connection.close()
    rows: list[dict[str, Any]] = [asdict(each) for each in found]
    if as_json:
        told = {"agrees": not found, "kinds": dict(summary(found)), "findings": rows}
        show(told, as_json, title="Reconciliation")
    else:
        shown = [
            {
                "finding": row["kind"],
                "entry": "" if row["index"] < 0 else row["index"],
                "what": row["message"],
                "reported by": "" if row["reported"] < 0 else f"entry {row['reported']}",
            }
            for row in rows
        ]
        show(shown, as_json, title="What does not agree")
    if found:
        raise typer.Exit(1)
