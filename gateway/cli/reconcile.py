"""`xinguan reconcile`: compare what is served with what a publicity authority shows (R11)."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, Session, instant, read_text, session, show
from gateway.config import FeedKind
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.identity.keyfiles import private_file
from gateway.registry.documents import verify
from gateway.repair import reconciliation
from gateway.repair.publicity import PUBLICITY_TYPE, SUFFIXES, PublicityClaims
from gateway.repair.publicity_feed import STATEMENT, digest_of, rows_of, statements_after
from gateway.repair.reconcile import Found
from gateway.repair.reconciliation import Reconciliation

_LOOK_EVERY_S = 0.1


def reconcile(
    product: Annotated[str, typer.Argument(help="The product.")],
    source: Annotated[
        str, typer.Argument(help="Publicity file with NAME.jws beside it, or a publicity feed.")
    ],
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Compare, and change nothing.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write each difference to this .csv or .parquet.")
    ] = None,
    wait_s: Annotated[int, typer.Option(min=1, help="For a running gateway's result.")] = 120,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare publicity state, content and end record by record; withhold what differs.

    While a gateway serves, the statement is handed to it, so that its gate sees every change;
    otherwise it is applied here.
    """
    from gateway.cli.repair_parts import served

    with session(home) as opened:
        statement = _statement(opened, product, source)
        token = read_text(statement)
        _check_product(opened, token, product)
        found = None
        if report_only or out is not None:
            found = _compare(opened, token, statement)
        if found is not None and out is not None:
            _write(found, out)
        if report_only and found is not None:
            told = _preview(found)
        elif served(opened):
            told = _told(_hand_over(opened, token, statement, wait_s))
        else:
            told = _told(asyncio.run(_apply(opened, token, statement)))
    show(told, as_json, title="Reconciliation")


def _statement(opened: Session, product: str, source: str) -> Path:
    """Return the statement beside a file, or the newest one of a publicity feed."""
    feed = opened.deployment.settings.feeds.get(source)
    if feed is None:
        if not Path(source).name:
            raise typer.BadParameter("name a publicity file or a publicity feed")
        return Path(source).with_suffix(STATEMENT)
    if feed.kind is not FeedKind.PUBLICITY:
        raise InvalidRequestError("BAD_REQUEST", "only a publicity feed can be reconciled with")
    waiting = statements_after(opened.deployment.directory / feed.path, "")
    named = [path for path in waiting if product in path.name]
    if not named:
        raise NotFoundError("NOT_FOUND", "the feed has no statement whose name has the product")
    return named[-1]


def _check_product(opened: Session, token: str, product: str) -> None:
    """Check that a statement is about the product that the operator named, before anything else.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is about another; see `verify` for the others.
    """
    keys = opened.deployment.authority_keys()
    if verify(token, keys.get, PUBLICITY_TYPE, PublicityClaims).claims.product != product:
        raise InvalidRequestError("BAD_REQUEST", "the statement is about another product")


def _compare(opened: Session, token: str, statement: Path) -> Found:
    """Compare without the gate: the snapshots are read, nothing is flipped."""
    from gateway.cli.repair_parts import parts_of

    return parts_of(opened).feeds.reconciler.compare(token, rows_of(statement))


async def _apply(opened: Session, token: str, statement: Path) -> Reconciliation:
    from gateway.cli.repair_parts import parts_of

    parts = parts_of(opened)
    done = await parts.feeds.reconciler.reconcile(token, rows_of(statement), "console")
    await parts.delays.close()
    return done


def _hand_over(opened: Session, token: str, statement: Path, wait_s: int) -> Reconciliation:
    """Put a copy into the running gateway's inbox and wait for its result.

    Raises:
        UnavailableError: `NO_RESULT` when none came in time.
        InvalidRequestError: The code of the refusal.
    """
    inbox = opened.deployment.inbox_directory
    inbox.mkdir(mode=0o700, exist_ok=True)
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns()}"
    rows = rows_of(statement)
    _put(rows, inbox / f"{name}{rows.suffix}")
    _put(statement, inbox / f"{name}{STATEMENT}")
    digest = digest_of(token)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        done = opened.run(lambda tx: reconciliation.find(tx, digest))
        if done is not None:
            return done
        refused = opened.run(
            lambda tx: tx.execute(
                "SELECT rule, code FROM feed_refusals WHERE feed = ? AND place = ?",
                ("inbox", f"{name}{STATEMENT}"),
            ).fetchone()
        )
        if refused is not None:
            raise InvalidRequestError(refused[1], "the gateway refused the statement")
        time.sleep(_LOOK_EVERY_S)
    raise UnavailableError(
        "NO_RESULT", "the gateway gave no result in time; it may still come: xinguan feed status"
    )


def _put(source: Path, target: Path) -> None:
    """Copy a file so that it is there whole or not at all, for its owner alone."""
    if source.suffix not in (STATEMENT, *SUFFIXES):
        raise InvalidRequestError("BAD_PUBLICITY", "a publicity file is .parquet, .csv or .arrow")
    fresh = target.with_name(f".{target.name}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as sink:
        with source.open("rb") as content:
            shutil.copyfileobj(content, sink)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.rename(target)


def _write(found: Found, out: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    if out.suffix not in (".parquet", ".csv"):
        raise typer.BadParameter("--out is a .csv or a .parquet")
    table = found.comparison.table()
    with private_file(out) as sink:
        if out.suffix == ".parquet":
            pyarrow.parquet.write_table(table, sink)
        else:
            pyarrow.csv.write_csv(table, sink)


def _preview(found: Found) -> dict[str, Any]:
    claims = found.statement.claims
    return {
        "product": claims.product,
        "authority": claims.authority,
        "as_of": instant(claims.as_of),
        "compared": found.comparison.compared,
        "differences": found.comparison.counts(),
        "outcome": "REPORT_ONLY",
    }


def _told(done: Reconciliation) -> dict[str, Any]:
    return {
        "product": done.product,
        "authority": done.authority,
        "as_of": instant(done.as_of),
        "compared": done.records,
        "differences": dict(done.differences),
        "withheld_now": done.applied,
        "released_now": done.released,
        "outcome": done.outcome,
        "entry": done.log_index,
    }
