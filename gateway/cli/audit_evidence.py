"""`xinguan audit evidence`: one file that proves what happened to a request, or in a range."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from audit.commitment import Opening, commit
from audit.entry_form import digest_text
from audit.errors import AuditError
from audit.pack import write_pack
from gateway.cli.audit_collect import Collector
from gateway.cli.audit_reading import log_reading
from gateway.cli.console import HERE, AsJson, Home, session, show
from gateway.cli.party_name import canonical_id
from gateway.domain.errors import UnavailableError
from gateway.doors.subject_name import canonical_subject
from gateway.identity.keyfiles import PRIVATE_MODE, write_new
from gateway.registry.act import required_reason


def evidence_command(
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the log.")],
    request: Annotated[str, typer.Option("--request", help="Id of a request.")] = "",
    org: Annotated[str, typer.Option("--org", help="Party id: all its requests.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="All requests about a subject.")] = "",
    span: Annotated[str, typer.Option("--range", help="START:END, END excluded.")] = "",
    disclose: Annotated[
        list[str] | None,
        typer.Option("--disclose", help="operator, case, subjects, or a field of the answer."),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option("--answer", help="JSON: field to list of values, as the caller got them."),
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write an evidence pack, to be checked with `xinguan-verify` without access to us.

    It holds the chosen entries with their batches and outcomes, every entry that they rest on,
    proofs against the newest checkpoint, policies, inputs and promises. Commitments stay closed
    but for what is named with --disclose.
    """
    if sum(map(bool, (request, org, subject, span))) != 1:
        raise typer.BadParameter("give one of --request, --org, --subject, --range")
    if answer is not None and not request:
        raise typer.BadParameter("--answer goes with --request")
    org = canonical_id(org) if org else ""
    subject, stated = canonical_subject(subject) if subject else "", required_reason(reason)
    with session(home) as opened, closing(opened.state.connect()) as connection:
        maker = Collector(opened, connection)
        log_reading(opened, "evidence", 0, maker.checkpoint.size, stated)
        if span:
            chosen, bounds = maker.by_range(span)
        else:
            bounds = None
            chosen = maker.with_followers(maker.find(request, org, subject))
        selection = _selection(request, org, subject, bounds)
        content = maker.content(selection, chosen, bounds)
        maker.disclose(content, disclose or [], answer)
        try:
            pack = write_pack(maker.reader, maker.checkpoint, content)
        except AuditError as error:
            raise UnavailableError("PACK_FAILED", str(error)) from None
    write_new(out, pack, PRIVATE_MODE)  # it may hold what was disclosed
    told = {
        "file": str(out),
        "bytes": len(pack),
        "chosen": len(content.chosen),
        "entries": len(content.entries),
        "log size": maker.checkpoint.size,
        "disclosed": len(content.openings) + len(content.fields),
        "missing": content.missing,
    }
    show(told, as_json, title="Evidence pack")


def _selection(
    request: str, org: str, subject: str, bounds: tuple[int, int] | None
) -> dict[str, object]:
    """Say how entries were chosen; a subject is not named, only committed to."""
    if bounds is not None:
        return {"by": "range", "start": bounds[0], "end": bounds[1]}
    if request:
        return {"by": "request", "request": request}
    if org:
        return {"by": "party", "party": org}
    return {
        "by": "subject",
        "subject": digest_text(commit(Opening("subject", subject.encode(), os.urandom(32)))),
    }
