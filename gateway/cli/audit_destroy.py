"""`xinguan audit destroy` and `hold`: forget a subject after its retention, or keep it."""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from audit.errors import AuditUnavailableError, LeaseHeldError
from audit.indexer import Indexer
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.sqlite_store import empty_write_ahead_log
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Reason,
    Session,
    because,
    instant,
    now,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import parse_instant
from gateway.config import Profile
from gateway.domain.errors import UnavailableError
from gateway.doors.subject_name import canonical_subject
from gateway.identity.keyfiles import PRIVATE_MODE, read_document_key, write_new
from gateway.registry.act import required_reason
from gateway.subjects import holds
from gateway.subjects.forgetting import Wish, approve, forget

hold_app = typer.Typer(help="Holds: while one stands, nothing of its subject is destroyed.")
_WHAT_REMAINS = {  # whether the state is on PostgreSQL
    False: "backups of the state made before now, with the key that opens them",
    True: "what PostgreSQL keeps until the next VACUUM, its archived write-ahead log, and backups",
}
_LEASE_WAIT_S: Final = 10.0
_PAUSE_S: Final = 0.2

Subject = Annotated[str, typer.Option("--subject", help="Identifier of the subject.")]
Basis = Annotated[str, typer.Option("--basis", help="On which ground; it stands in the log.")]
Until = Annotated[str, typer.Option("--until", help="Entries before this time: YYYY-MM-DD.")]


def approve_destruction(
    subject: Subject,
    basis: Basis,
    until: Until,
    key: Annotated[Path, typer.Option(help="The administrator's document key: signs here.")],
    out: Annotated[Path, typer.Option(help="Where to write the approval.")],
    as_json: AsJson = False,
) -> None:
    """Sign an approval of exactly one destruction; no deployment is needed."""
    wish = Wish(canonical_subject(subject), parse_instant(until), required_reason(basis))
    document = approve(wish, read_document_key(key), now())
    write_new(out, f"{document}\n".encode(), PRIVATE_MODE)
    show({"approval": str(out), "until": instant(wish.until)}, as_json, title="Approval signed")


def destroy(
    subject: Subject,
    basis: Basis,
    until: Until = "",
    approval: Annotated[
        list[Path] | None, typer.Option(help="An approval of an administrator; repeatable.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Destroy what opens the commitments to a subject; refused before retention allows it."""
    with session(home) as opened:
        deployment, secrets = opened.deployment, opened.deployment.secrets()
        wish = Wish(
            canonical_subject(subject),
            parse_instant(until) if until else opened.act.now,
            required_reason(basis),
            [read_text(path) for path in approval or ()],
            both_roles=deployment.settings.profile is not Profile.DEV,
        )
        indexer = Indexer(opened.state.journal, opened.act.node, now)
        try:
            index = _under_lease(
                indexer,
                lambda: opened.run(
                    lambda tx: forget(
                        tx,
                        wish,
                        opened.act,
                        reader=LogReader(deployment.log_directory, deployment.log_vkey),
                        openings=OpeningStore(secrets.opening_key),
                        index_key=secrets.index_key,
                    )
                ),
            )
            roots = indexer.seal()
        finally:
            indexer.close()
        wiped = _wipe(opened)
    told: dict[str, Any] = {
        "destroyed": True,
        "entry": index,
        "entries before": instant(wish.until),
        "sealed again": roots,
        "write-ahead log emptied": wiped,
        "what remains": _WHAT_REMAINS[bool(opened.deployment.settings.state.url)],
    }
    show(told, as_json, title="Destruction")


@hold_app.command("place")
def place_hold(
    reason: Reason,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The subject; else everything.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Place a hold on a subject, or on everything."""
    named = "" if subject is None else canonical_subject(subject)
    with session(home) as opened:
        secrets = opened.deployment.secrets()
        act = because(opened.act, required_reason(reason))
        hold = opened.run(
            lambda tx: holds.place(
                tx,
                named,
                act,
                index_key=secrets.index_key,
                openings=OpeningStore(secrets.opening_key),
            )
        )
    told = {"hold": hold, "on": "one subject" if named else "everything"}
    show(told, as_json, title="Hold placed")


@hold_app.command("lift")
def lift_hold(
    hold: Annotated[str, typer.Argument(help="Id of the hold.")],
    reason: Reason,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a hold."""
    with session(home) as opened:
        act = because(opened.act, required_reason(reason))
        index = opened.run(lambda tx: holds.lift(tx, hold, act))
    show({"hold": hold, "entry": index}, as_json, title="Hold lifted")


@hold_app.command("list")
def list_holds(home: Home = HERE, as_json: AsJson = False) -> None:
    """List every hold; subjects are not told, since nobody needs them here."""
    with session(home) as opened:
        rows = [
            {
                "hold": hold,
                "on": "everything" if everything else "one subject",
                "placed": instant(placed),
                "entry": index,
                "lifted": instant(lifted),
            }
            for hold, everything, placed, index, lifted in opened.run(holds.every)
        ]
    show(rows, as_json, title="Holds")


def _under_lease(indexer: Indexer, work: Any) -> int:
    """Destroy while nobody seals; a gateway that serves gives the lease back after each pass."""
    deadline = time.monotonic() + _LEASE_WAIT_S
    while True:
        try:
            return int(indexer.under_lease(work))
        except LeaseHeldError:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "AUDIT_UNAVAILABLE", "another process seals the index; try again"
                ) from None
            time.sleep(_PAUSE_S)
        except AuditUnavailableError as error:
            raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None


def _wipe(opened: Session) -> bool:
    """Copy the write-ahead log back and empty it; False while a reader holds part of it.

    Pages that held what was destroyed are overwritten with zeros (`secure_delete`) when they are
    freed; what the write-ahead log still holds of them goes with its truncation. On PostgreSQL
    neither is in our hands: rows that were deleted go with the next VACUUM.
    """
    if opened.deployment.settings.state.url:
        return False
    return empty_write_ahead_log(opened.deployment.state_path, _LEASE_WAIT_S)
