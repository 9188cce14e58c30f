"""`xinguan policy diff`: what another bundle would have decided about logged requests."""

import asyncio
import json
import re
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audit import entries as entry_kinds
from audit.sequence import next_index
from gateway.cli.console import HERE, AsJson, Home, Session, session
from gateway.cli.log_range import AT_ONCE, bodies
from gateway.cli.policy_diff_text import as_document, as_lines
from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.explain import LANGUAGES
from gateway.decision.history import Logged, kept_input, read_logged
from gateway.decision.redecide import Findings, Redecision, Side
from gateway.domain.errors import (
    InvalidRequestError,
    UnavailableError,
)

_RANGE = re.compile(r"(\d{1,15})-(\d{1,15})?")
_LONG = 5_000
_CURRENT = "current"

Policies = typer.Argument(help="A policies directory with its built bundle, or `current`.")


def diff_command(
    old: Annotated[str, Policies],
    new: Annotated[str, Policies],
    log: Annotated[str, typer.Option("--log", help="FIRST-LAST, FIRST-, or all.")],
    home: Home = HERE,
    as_json: AsJson = False,
    language: Annotated[str, typer.Option("--lang", help="zh or en.")] = "zh",
) -> None:
    """Decide logged requests again under two bundles and list exactly the decisions that flip.

    The exit code is 0 when everything of the range was decided again and agrees with the log,
    and 1 when something is missing or diverges; it is named. Reading the log is an entry itself.
    """
    if language not in LANGUAGES:
        raise typer.BadParameter("the language is zh or en")
    with session(home) as opened:
        start, end = _range(log, opened)
        sides = _side(old), _side(new)
        try:
            findings = asyncio.run(_redecide(opened, *sides, start, end))
        finally:
            asyncio.run(_close(*sides))
    if as_json:
        document = as_document(*sides, (start, end), findings)
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(as_lines(*sides, (start, end), findings, language)))
    if findings.faults:
        raise typer.Exit(1)


def _side(policies: str) -> Side:
    """Open a policies directory.

    Raises:
        UnavailableError: `POLICY_MISMATCH`: its bundle is missing, stale or malformed.
    """
    try:
        return Side.load(DEFAULT_POLICIES if policies == _CURRENT else Path(policies))
    except (OSError, ValueError, KeyError, TypeError):
        raise UnavailableError(
            "POLICY_MISMATCH", "the tables of the policies directory can't be read"
        ) from None


def _range(text: str, opened: Session) -> tuple[int, int]:
    """Return first index and one past the last; both must be in the log.

    Raises:
        InvalidRequestError: `BAD_RANGE`.
    """
    with closing(opened.state.connect()) as connection:
        size = next_index(connection)
    found = _RANGE.fullmatch("0-" if text == "all" else text)
    if found is None:
        raise InvalidRequestError("BAD_RANGE", "a range is FIRST-LAST, FIRST-, or all")
    first = int(found[1])
    end = size if found[2] is None else int(found[2]) + 1
    if not first < end <= size:
        raise InvalidRequestError("BAD_RANGE", f"the log has the entries 0 to {size - 1}")
    return first, end


async def _redecide(opened: Session, old: Side, new: Side, start: int, end: int) -> Findings:
    _log_reading(opened, start, end - start)
    bar = Progress(
        TextColumn("deciding again"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with closing(opened.state.connect()) as connection:
        work = Redecision(old, new, lambda logged: kept_input(connection, logged))
        with bar if end - start > _LONG else nullcontext():
            task = bar.add_task("entries", total=end - start)
            for index, body in bodies(opened.deployment, connection, start, end):
                logged = _read(index, body)
                if logged is not None:
                    await work.take(logged)
                if index % AT_ONCE == 0:
                    bar.update(task, completed=index - start)
    return work.findings


async def _close(*sides: Side) -> None:
    for side in sides:
        await side.decider.close()


def _log_reading(opened: Session, start: int, count: int) -> None:
    entry = entry_kinds.audit_read(
        time=opened.act.now,
        node=opened.act.node,
        actor=opened.act.actor,
        what="decisions",
        start=start,
        count=count,
        reason="policy diff",
    )
    opened.run(lambda tx: tx.append(entry))


def _read(index: int, body: bytes) -> Logged | None:
    try:
        return read_logged(index, body)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnavailableError(
            "ENTRY_UNREADABLE", f"entry {index} is not of this version's schema"
        ) from None
