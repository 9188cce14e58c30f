"""`xinguan audit index`: seal the index of subjects, and derive it anew as an auditor."""

from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from audit.errors import AuditError, LeaseHeldError
from audit.index_audit import IndexKeys, verify_index
from audit.indexer import Indexer
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.verify import verify_log
from gateway.cli.console import HERE, AsJson, Home, now, session, show
from gateway.domain.errors import NotFoundError, UnavailableError

app = typer.Typer(help="The sealed index of subjects: seal it, derive it anew.")


@app.command()
def build(home: Home = HERE, as_json: AsJson = False) -> None:
    """Seal roots over everything that is new; a running gateway does so itself."""
    with session(home) as opened:
        indexer = Indexer(opened.state.journal, opened.act.node, now)
        try:
            made = indexer.seal()
            told = {"roots": len(made), "entries": made, "not covered": indexer.pending()}
        except LeaseHeldError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE",
                "another process seals the index",
                hints=("try again in a minute",),
            ) from None
        finally:
            indexer.close()
    show(told, as_json, title="Index of subjects")


@app.command()
def verify(home: Home = HERE, as_json: AsJson = False) -> None:
    """Derive every root anew from the log and the openings; exit code 1 when one differs."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with session(home) as opened, bar:
        secrets = opened.deployment.secrets()
        directory, vkey = opened.deployment.log_directory, opened.deployment.log_vkey
        log_task = bar.add_task("log", total=None)
        log = verify_log(
            directory, vkey, progress=lambda d, t: bar.update(log_task, completed=d, total=t)
        )
        task = bar.add_task("index", total=None)
        connection = opened.state.connect()
        try:
            report = verify_index(
                LogReader(directory, vkey),
                connection,
                IndexKeys(OpeningStore(secrets.opening_key), secrets.index_key),
                progress=lambda d, t: bar.update(task, completed=d, total=t),
            )
        except AuditError as error:
            raise NotFoundError("NOT_FOUND", str(error)) from None
        finally:
            connection.close()
    problems = [*log.problems, *report.problems]
    told: dict[str, Any] = {
        "holds": not problems,
        "entries": report.size,
        "accesses": report.accesses,
        "covered below entry": report.covered,
        "roots derived anew": report.roots,
        "roots unknowable after a destruction": report.unknowable,
        "openings destroyed": report.destroyed,
        "accesses after the last root": report.tail,
        "problems": [
            each.message if each.index is None else f"entry {each.index}: {each.message}"
            for each in problems[:20]
        ],
    }
    show(told, as_json, title="Index of subjects")
    if problems:
        raise typer.Exit(1)
