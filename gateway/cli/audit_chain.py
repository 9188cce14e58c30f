"""`xinguan audit chain`: who answers for each step that led to an entry."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Annotated

import typer

from audit.chain import Chain, Landmarks, chain_of, followers
from audit.commitment import Opening
from audit.errors import LogCorruptError
from audit.openings import OpeningStore
from audit.store import Reader
from gateway.cli.audit_reading import log_reading
from gateway.cli.console import HERE, AsJson, Home, Session, instant, session, show
from gateway.cli.log_range import bodies
from gateway.domain.errors import NotFoundError
from gateway.registry.act import stated_reason


def chain_command(
    index: Annotated[int, typer.Argument(min=0, metavar="ENTRY", help="Log index.")],
    open_person: Annotated[
        bool, typer.Option("--open", help="Open who stood behind the call; say why.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why you ask; it is logged.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print every act that an entry rests on, and the organisation and person of each.

    The exit code is 1 when something that is cited is missing or is not what it should be.
    """
    if open_person and not reason.strip():
        raise typer.BadParameter("opening a person needs a --reason")
    with session(home) as opened, closing(opened.state.connect()) as connection:
        end = connection.next_index()
        if index >= end:
            raise NotFoundError("NOT_FOUND", f"the log has the entries 0 to {end - 1}")
        what = "chain with persons" if open_person else "chain"
        log_reading(opened, what, index, 1, stated_reason(reason))
        chain = _chain(opened, connection, index, end, open_person=open_person)
    rows = [
        {
            "entry": step.index,
            "kind": step.kind,
            "time": instant(step.time),
            "through": step.member,
            "did": each.duty,
            "organisation": f"{each.organisation} {each.name}".strip(),
            "person": each.person,
        }
        for step in chain.steps
        for each in step.answerable
    ]
    if as_json:
        show({"steps": rows, "gaps": list(chain.gaps)}, as_json, title="")
    else:
        show(rows, as_json, title=f"Chain of entry {index}")
        for gap in chain.gaps:
            typer.echo(f"gap: {gap}")
    if chain.gaps:
        raise typer.Exit(1)


def _chain(
    opened: Session, connection: Reader, index: int, end: int, *, open_person: bool
) -> Chain:
    deployment = opened.deployment
    store = OpeningStore(deployment.secrets().opening_key)
    landmarks = Landmarks()
    landmarks.take(bodies(deployment, connection, 0, index + 1))

    def entry(at: int) -> bytes:
        if not 0 <= at < end:
            raise LogCorruptError("it is not in the log", at)
        return next(bodies(deployment, connection, at, at + 1))[1]

    def openings(at: int) -> Mapping[str, Opening]:
        return store.openings(connection, at) if open_person else {}

    told = json.loads(entry(index))
    first = [told["intent"] if told["kind"] in ("batch", "outcome") else index]
    if json.loads(entry(first[0]))["kind"] == "intent" and first[0] + 1 < end:
        first += followers(first[0], bodies(deployment, connection, first[0] + 1, end))
    return chain_of(first, entry, landmarks, openings)
