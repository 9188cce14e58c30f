"""`xinguan export`: persons counted for export, what is declared, and the yearly filing."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.journal import Transaction
from gateway.border import counters_declared as declared
from gateway.border import counters_report as reports
from gateway.border.counters_declared import DeclarationClaims
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.counters_reconcile import Settled, open_exports, settle_open
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Reason,
    Session,
    because,
    instant,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import parse_instant
from gateway.cli.party_name import canonical_id
from gateway.domain.errors import ConflictError
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import sign

app = typer.Typer(help="Persons counted for export (R63, R64), and the yearly filing.")

Exporter = Annotated[str, typer.Option("--exporter", help="Party id of the exporter.")]
Year = Annotated[
    int, typer.Option("--year", min=0, max=9999, help="The year; this one by default.")
]


@app.command()
def status(
    exporter: Exporter = "",
    year: Year = 0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Say how many persons each exporter has sent about this year, and when a threshold comes."""
    with session(home) as opened:
        now = opened.act.now
        which = canonical_id(exporter) if exporter else ""
        found = opened.run(
            lambda tx: reports.counts(tx, CountLaw.load(), year or export_year(now), now, which)
        )
    if as_json:
        show([_count(each) for each in found], as_json, title="Exports")
        return
    show([_line(each) for each in found], as_json, title="Persons counted for export")


@app.command()
def declare(
    exporter: Exporter = "",
    kind: Annotated[
        CountClass | None, typer.Option("--class", help="Which of the two counts.")
    ] = None,
    persons: Annotated[
        int | None, typer.Option(min=0, help="Distinct persons since 1 January, sent elsewhere.")
    ] = None,
    as_of: Annotated[str, typer.Option("--as-of", help="When that was so; now by default.")] = "",
    key: Annotated[
        Path | None, typer.Option(help="The exporter's document key: signs it here.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="A declaration that was signed elsewhere.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Add what an exporter sent outside of this gateway; the latest declaration holds."""
    if document is not None and (exporter or as_of or (kind, persons) != (None, None)):
        raise typer.BadParameter(
            "a signed --document says what --exporter, --class, --persons and --as-of would"
        )
    stated = bool(exporter) and kind is not None and persons is not None
    if (key is None) == (document is None) or (key is not None and not stated):
        raise typer.BadParameter(
            "give --exporter, --class, --persons and --key, or a signed --document"
        )
    with session(home) as opened:
        if document is not None:
            signed = read_text(document)
        else:
            at = parse_instant(as_of) if as_of else opened.act.now
            signed = _sign(opened, canonical_id(exporter), kind, persons or 0, at, key)
        done = opened.run(lambda tx: declared.declare(tx, signed, opened.act, CountLaw.load()))
    told = done.claims.model_dump() | {
        "as_of": instant(done.claims.as_of),
        "entry": done.index,
    }
    show(told, as_json, title="Declared")


@app.command()
def reconcile(
    node: Annotated[
        str, typer.Option(help="A node that has ended for good; without it, only list.")
    ] = "",
    reason: Reason = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List exports without an outcome, or settle those of a node that will not come back.

    A node settles its own at its next start. Of an intent without evidence of a batch nothing
    left, and its persons are counted no more; any other counts as sent.
    """
    with session(home) as opened:
        act = because(opened.act, reason)
        if not node:
            rows = [
                asdict(each) | {"begun_at": instant(each.begun_at)}
                for each in opened.run(open_exports)
            ]
            show(rows, as_json, title="Exports without an outcome")
            return

        def job(tx: Transaction) -> Settled:
            _require_gone(tx, node)
            mine = [each.intent for each in open_exports(tx) if each.node == node]
            return settle_open(tx, mine, act)

        done = opened.run(job)
    told = {"node": node, "released": list(done.released), "sent": list(done.sent)}
    show(told, as_json, title="Settled")


@app.command()
def report(
    year: Year = 0,
    exporter: Exporter = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print the annex for the filing: what went where, which fields, how many, on which ground."""
    with session(home) as opened:
        now = opened.act.now
        wanted = year or export_year(now)
        which = canonical_id(exporter) if exporter else ""
        found = opened.run(lambda tx: reports.annexes(tx, CountLaw.load(), wanted, now, which))
        with_log = opened.state.connect()
        try:
            size = with_log.next_index()
        finally:
            with_log.close()
    if as_json:
        told = {
            "year": wanted,
            "as_of": instant(now),
            "log_entries": size,
            "exporters": [_annex(each) for each in found],
        }
        show(told, as_json, title="Annex")
        return
    for each in found:
        show([_line(count) for count in each.counts], as_json, title=f"{each.exporter}: persons")
        show(
            [_told(line) for line in each.lines], as_json, title=f"{each.exporter}: what went where"
        )
        ends = {
            "begun": each.deliveries,
            "nothing left": each.nothing_left,
            "without an outcome": each.unsettled,
        }
        show(ends, as_json, title=f"{each.exporter}: deliveries")
    if not found:
        show([], as_json, title=f"Exports of {wanted}")


def _require_gone(tx: Transaction, node: str) -> None:
    """Refuse while a process of that node holds a lease on this state.

    Raises:
        ConflictError: `CONFLICT`.
    """
    for (name,) in tx.execute("SELECT node FROM node_leases").fetchall():
        if name == node or name.startswith(f"{node}."):
            raise ConflictError(
                "CONFLICT",
                "a process of this node serves, or has not been missed long enough",
                hints=("stop it, or let it start again: a node settles its own exports",),
            )


def _sign(
    opened: Session,
    exporter: str,
    kind: CountClass | None,
    persons: int,
    as_of: int,
    key: Path | None,
) -> str:
    if kind is None or key is None:
        raise typer.BadParameter("give --class and --key")
    year = export_year(as_of)
    version = opened.run(lambda tx: declared.next_version(tx, exporter, year, kind.value))
    claims = DeclarationClaims(
        exporter=exporter,
        year=year,
        kind=kind.value,
        version=version,
        persons=persons,
        as_of=as_of,
    )
    return sign(claims, read_document_key(key), declared.DECLARATION_TYPE)


def _count(count: reports.Count) -> dict[str, Any]:
    as_of = None if count.declared_as_of is None else instant(count.declared_as_of)
    return {
        "exporter": count.exporter,
        "year": count.year,
        "class": count.kind.value,
        "own": count.own,
        "declared": count.declared,
        "declared_as_of": as_of,
        "total": count.total,
        "held": count.held,
        "thresholds": [asdict(near) for near in count.near],
    }


def _line(count: reports.Count) -> dict[str, Any]:
    """Return a count as a row for people."""
    ahead = next((near for near in count.near if near.threshold > count.total), None)
    return {
        "exporter": count.exporter,
        "class": count.kind.value,
        "persons": count.total,
        "of these declared": count.declared,
        "without outcome": count.held,
        "next threshold": "none" if ahead is None else ahead.threshold,
        "used": "" if ahead is None else f"{ahead.per_cent} %",
        "at this pace reached on": "" if ahead is None else ahead.reached_on or "not this year",
        "alarms": "" if ahead is None else ", ".join(f"{each} %" for each in ahead.alarms),
    }


def _told(line: reports.Line) -> dict[str, Any]:
    return asdict(line) | {
        "fields": list(line.fields),
        "first": instant(line.first),
        "last": instant(line.last),
    }


def _annex(annex: reports.Annex) -> dict[str, Any]:
    return {
        "exporter": annex.exporter,
        "counts": [_count(each) for each in annex.counts],
        "recipients": {party: dict(found) for party, found in annex.recipients.items()},
        "lines": [_told(each) for each in annex.lines],
        "deliveries": annex.deliveries,
        "nothing_left": annex.nothing_left,
        "without_outcome": annex.unsettled,
    }
