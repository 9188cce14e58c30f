"""`xinguan audit who`: who accessed a subject, with a proof that the list is complete."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import entries as entry_kinds
from audit.access import Access
from audit.access_check import accesses_of
from audit.access_proof import SUBJECT, check_accesses, prove_accesses
from audit.commitment import Opening, commit, subject_label
from audit.errors import AuditError
from audit.index_audit import IndexKeys, derive_tail
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.store import Reader
from gateway.cli.console import HERE, AsJson, Home, Session, instant, read_bytes, session, show
from gateway.cli.descriptions import parse_instant
from gateway.domain.errors import InvalidRequestError, UnavailableError
from gateway.doors.subject_name import canonical_subject
from gateway.identity.keyfiles import PRIVATE_MODE, write_new
from gateway.registry.act import required_reason
from gateway.snapshot.library import SnapshotLibrary
from gateway.subjects.accesses import AccessFinder, Found, Window

_FOR_EVER: Final = 1 << 62

SubjectOption = Annotated[str, typer.Option("--subject", help="Identifier of the subject.")]


def who(
    subject: SubjectOption,
    reason: Annotated[str, typer.Option("--reason", help="Why you ask; it is logged.")],
    start: Annotated[str, typer.Option("--from", help="First time: YYYY-MM-DD or ISO 8601.")] = "",
    end: Annotated[str, typer.Option("--to", help="First time not wanted.")] = "",
    first: Annotated[int, typer.Option("--first", min=0, help="First log index.")] = 0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Prove that nothing is missing.")
    ] = False,
    proof: Annotated[
        Path | None,
        typer.Option("--proof", help="Where to write the proof; the file must not exist."),
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print who asked about a subject, when, why and which fields; refusals and exports too."""
    window = Window(
        parse_instant(start) if start else 0, parse_instant(end) if end else _FOR_EVER, first
    )
    subject, stated = canonical_subject(subject), required_reason(reason)
    with session(home) as opened:
        _log_reading(opened, subject, stated)
        secrets = opened.deployment.secrets()
        reader = LogReader(opened.deployment.log_directory, opened.deployment.log_vkey)
        library = SnapshotLibrary(opened.deployment.snapshots_directory)
        connection = opened.state.connect()
        try:
            with connection.moment():  # one state for the list and its proof
                found = AccessFinder(reader, library, secrets.index_key).find(
                    connection, subject, window
                )
                told: dict[str, Any] = _told(found)
                document = b""
                if verify or proof is not None:
                    document = _prove(connection, reader, secrets.log_key, found, subject)
                if verify:
                    keys = IndexKeys(OpeningStore(secrets.opening_key), secrets.index_key)
                    told["proof"] = _verified(
                        opened, connection, reader, keys, document, found, window
                    )
        finally:
            connection.close()
    if proof is not None:
        write_new(proof, document, PRIVATE_MODE)  # it names the subject
        told["proof file"] = str(proof)
    _print(found, told, as_json)
    if verify and not told["proof"]["complete"]:
        raise typer.Exit(1)


def who_check(
    proof: Annotated[Path, typer.Argument(help="The proof that a subject was given.")],
    key: Annotated[str, typer.Option("--key", help="Verifier key of the log.")],
    as_json: AsJson = False,
) -> None:
    """Check a proof of accesses without any deployment, and print what it proves."""
    try:
        proved = check_accesses(read_bytes(proof), key)
        accesses = accesses_of(proved)
    except AuditError as error:
        raise InvalidRequestError("BAD_PROOF", str(error)) from None
    told: dict[str, Any] = {
        "proved": True,
        "subject": proved.subject,
        "complete below entry": proved.complete_below,
        "log size": proved.checkpoint.size,
        "destroyed": len(proved.told.get("destroyed", ())),
    }
    if as_json:
        show(told | {"accesses": [each.as_json() for each in accesses]}, as_json, title="Proof")
        return
    show([_row(each) for each in accesses], as_json, title="Accesses")
    show(told, as_json, title="Proof")


def _prove(
    connection: Reader,
    reader: LogReader,
    key: Ed25519PrivateKey,
    found: Found,
    subject: str,
) -> bytes:
    try:
        return prove_accesses(connection, reader, key, found.wanted(subject))
    except AuditError as error:
        raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None


def _verified(
    opened: Session,
    connection: Reader,
    reader: LogReader,
    keys: IndexKeys,
    document: bytes,
    found: Found,
    window: Window,
) -> dict[str, Any]:
    """Check the proof as a stranger would, and derive the tail from the openings."""
    try:
        proved = check_accesses(document, opened.deployment.log_vkey)
        shown = accesses_of(
            proved,
            start=window.start,
            end=window.end,
            first=window.first,
            next_first=found.next_first,
        )
        tail, report = derive_tail(reader, connection, keys, proved.complete_below)
    except AuditError as error:
        return {"complete": False, "problem": str(error)}
    label = subject_label(keys.index_key, proved.subject)
    wanted = {index for each, index in tail if each == label}
    listed = {
        row[0]
        for row in connection.execute(
            "SELECT entry FROM subject_labels WHERE label = ? AND entry >= ?",
            (label, proved.complete_below),
        )
    }
    missing = len(wanted - listed)
    return {
        "complete": not missing and not report.problems,
        "by root below entry": proved.complete_below,
        "by openings below entry": proved.checkpoint.size,
        "proved accesses": sum(each.index < proved.complete_below for each in shown),
        "in the index": sum(len(proved.lists.get(of, ())) for of in (SUBJECT,)),
        "missing in the tail": missing,
        "problems": [each.message for each in report.problems[:5]],
    }


def _log_reading(opened: Session, subject: str, reason: str) -> None:
    opening = Opening("subject", subject.encode(), os.urandom(32))
    entry = entry_kinds.audit_read(
        time=opened.act.now,
        node=opened.act.node,
        actor=opened.act.actor,
        what="accesses",
        subject=commit(opening),
        reason=reason,
    )
    store = OpeningStore(opened.deployment.secrets().opening_key)
    opened.run(lambda tx: store.record(tx, tx.append(entry).index, {"subject": opening}, ()))


def _told(found: Found) -> dict[str, Any]:
    told: dict[str, Any] = {
        "accesses": len(found.accesses),
        "destroyed": [
            f"{each.entries} entries before {instant(each.until)}, by entry {each.index}"
            for each in found.destroyed
        ],
        "exports that can't be told": len(found.snapshots_gone),
    }
    if found.next_first:
        told["more from entry"] = found.next_first
    return told


def _row(access: Access) -> dict[str, Any]:
    fields = [f"{name}:{action}" for name, action in sorted(access.fields.items())]
    return {
        "entry": access.index,
        "time": instant(access.time),
        "who": access.party,
        "why": " ".join(filter(None, (access.purpose, access.scenario))),
        "product": access.product,
        "licence": "" if access.licence < 0 else f"entry {access.licence}",
        "fields": ", ".join(fields),
        "result": ", ".join(access.refused) or access.status,
        "kind": f"export, {access.bulk_rows} rows" if access.bulk_rows else "asked",
    }


def _print(found: Found, told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        rows = [each.as_json() for each in found.accesses]
        show(told | {"accesses": rows}, as_json, title="Accesses")
        return
    show([_row(each) for each in found.accesses], as_json, title="Accesses")
    show(told, as_json, title="Completeness")
