"""`xinguan recall`: who was told to stop using what, who has not answered, who still shows it."""

import ssl
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from gateway.cli.console import HERE, AsJson, Home, instant, session, show
from gateway.cli.party_name import canonical_id
from gateway.cli.recall_suspend import app as suspend_app
from gateway.config import Profile
from gateway.domain.errors import NotFoundError
from gateway.identity.keyfiles import private_file
from gateway.repair.recall.board import purge_list
from gateway.repair.recall.endpoints import check_url, declare, endpoint_of
from gateway.repair.recall.probe import ProbeLimits, probe, record_probe
from gateway.repair.recall.status import (
    notice_rows,
    recall_rows,
    repair_index,
    seconds_to_notice,
)
from gateway.store.state import State

app = typer.Typer(help="Recall of what was delivered before a repair (M34, R28).")
app.add_typer(suspend_app, name="suspend")

Org = Annotated[str, typer.Option("--org", help="One organisation, by party id.")]


@app.command()
def status(
    repair: Annotated[
        str, typer.Option("--repair", help="One repair, by its id or the index of its entry.")
    ] = "",
    org: Org = "",
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="Only notices that await an answer.")
    ] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Show recalls and their notices: who has not acknowledged, since when, and who is overdue."""
    party_id = canonical_id(org) if org else ""
    with session(home) as opened:
        connection = opened.state.connect()
        try:
            index = repair_index(connection, repair) if repair else None
            if repair and index is None:
                raise NotFoundError("NOT_FOUND", "no such repair")
            recalls = recall_rows(connection, repair=index)
            notices = notice_rows(connection, repair=index, party_id=party_id)
            waited = seconds_to_notice(connection)
        finally:
            connection.close()
    now = opened.act.now
    rows = [
        row | {"overdue": row["unanswered"] and row["due_at"] <= now}
        for row in notices
        if row["unanswered"] or not unanswered
    ]
    told = {
        "recalls": recalls,
        "notices": rows,
        "not_computed": sum(each["computed_at"] is None for each in recalls),
        "unanswered": sum(row["unanswered"] for row in rows),
        "overdue": sum(row["overdue"] for row in rows),
        "seconds_to_notice_p99": waited,
    }
    if as_json:
        show(told, True, title="")
        return
    show([_recall_line(each) for each in recalls], False, title="Recalls")
    show([_notice_line(row) for row in rows], False, title="Notices")
    summary = {name: told[name] for name in ("not_computed", "unanswered", "overdue")}
    show(summary | {"seconds_to_notice_p99": waited}, False, title="In all")


@app.command("probe")
def probe_notice(
    notice: Annotated[str, typer.Argument(help="Id or log index of a notice.", metavar="NOTICE")],
    ca: Annotated[
        Path | None, typer.Option(help="Trust these authorities instead of the system's, PEM.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask the receiver's declared endpoint whether it still shows the record, and log the result.

    Exit code 1 when it still shows it, or gave no usable answer.
    """
    with session(home) as opened:
        index, party_id, document, url = _notice(opened.state, notice)
        settings = opened.deployment.settings
        limits = ProbeLimits(
            timeout_ms=settings.limits.recall_probe_timeout_ms,
            max_bytes=settings.limits.recall_probe_bytes,
            loopback=settings.profile is Profile.DEV,
        )
        result = probe(url, document, limits, tls=_tls(ca))
        entry = opened.run(lambda tx: record_probe(tx, index, party_id, result, opened.act))
    told = {"notice": index, "party": party_id, "result": result.value, "entry": entry}
    show(told, as_json, title="Probe")
    if result.value in ("STILL_SHOWN", "UNREACHABLE", "MALFORMED"):
        raise typer.Exit(1)


@app.command()
def endpoint(
    party: Annotated[str, typer.Argument(help="Party id.", metavar="PARTY")],
    url: Annotated[
        str, typer.Argument(help="https address; left out, the declared one is shown.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Enter or show where an organisation declared that it can be asked what it shows."""
    if url and remove:
        raise typer.BadParameter("give an address or --remove")
    party_id = canonical_id(party)
    with session(home) as opened:
        if not url and not remove:
            connection = opened.state.connect()
            try:
                told: dict[str, Any] = {
                    "party": party_id, "endpoint": endpoint_of(connection, party_id)
                }  # fmt: skip
            finally:
                connection.close()
        else:
            loopback = opened.deployment.settings.profile is Profile.DEV
            clean = check_url(url, loopback=loopback) if url else ""
            entry = opened.run(lambda tx: declare(tx, party_id, clean, opened.act))
            told = {"party": party_id, "endpoint": clean, "entry": entry}
    show(told, as_json, title="Verification endpoint")


@app.command("purge-list")
def write_purge_list(
    org: Annotated[str, typer.Option("--org", help="The organisation, by party id.")],
    out: Annotated[Path, typer.Option("--out", help="Where to put it: an Arrow IPC file.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was acknowledged already.")
    ] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write every row that an organisation has to purge, in words that it has."""
    party_id = canonical_id(org)
    with session(home) as opened:
        connection = opened.state.connect()
        try:
            table = purge_list(connection, party_id, everything=everything)
        finally:
            connection.close()
    try:
        with private_file(out) as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except OSError as error:
        raise typer.BadParameter(f"{out.name}: {error.strerror}") from None
    show({"party": party_id, "rows": table.num_rows, "file": out.name}, as_json, title="Purge list")


def _notice(state: State, wanted: str) -> tuple[int, str, str, str]:
    """Return a notice's index, receiver, document, and the receiver's endpoint."""
    index = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else -1  # noqa: PLR2004 - digits of a log index
    connection = state.connect()
    try:
        row = connection.execute(
            "SELECT notice, party_id, document FROM recall_notices"
            " WHERE notice_id = ? OR notice = ?",
            (wanted, index),
        ).fetchone()
        if row is None:
            raise NotFoundError("NOT_FOUND", "no such notice")
        return row[0], row[1], row[2], endpoint_of(connection, row[1])
    finally:
        connection.close()


def _tls(ca: Path | None) -> ssl.SSLContext | None:
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError):
        raise typer.BadParameter(f"{ca.name}: no authorities in PEM") from None


def _recall_line(row: dict[str, Any]) -> dict[str, Any]:
    computed = instant(row["computed_at"])
    return row | {"effective_at": instant(row["effective_at"]), "computed_at": computed}


def _notice_line(row: dict[str, Any]) -> dict[str, Any]:
    names = ("notice", "repair", "party", "kind", "status", "deliveries", "reply", "probe")
    times = {name: instant(row[name]) for name in ("due_at", "served_at")}
    return {name: row[name] for name in names} | times | {"overdue": row["overdue"]}
