"""`xinguan recall suspend`: what a person decides on a proposed suspension (R28)."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import HERE, AsJson, Home, instant, read_text, session, show
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import sign as sign_document
from gateway.repair.recall.status import proposal_rows
from gateway.repair.recall.suspension import (
    SUSPENSION_TYPE,
    Ruled,
    Ruling,
    RulingClaims,
    open_proposal,
    rule,
)

_NOT = frozenset({Ruling.DISMISS, Ruling.WAIVE})
_MAY_SAY = {
    Ruling.SIGN: frozenset({Ruling.SIGN}),
    Ruling.DISMISS: _NOT,
    Ruling.WAIVE: frozenset({Ruling.WAIVE}),
}
_DAYS = 3
app = typer.Typer(help="Proposed suspensions of receivers that don't answer; a person decides.")

Proposal = Annotated[
    int,
    typer.Argument(min=0, max=2**63 - 1, help="Log index of the proposal.", metavar="PROPOSAL"),
]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Registered document key of the operator or its security admin."),
]
Document = Annotated[
    Path | None,
    typer.Option("--document", help="A decision that was signed elsewhere; it says all else."),
]
Person = Annotated[str, typer.Option("--person", help="Who decides; kept out of the log.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept with the decision, out of the log.")]


@app.command("list")
def list_proposals(home: Home = HERE, as_json: AsJson = False) -> None:
    """List proposals, with the objections of the receivers."""
    with session(home) as opened:
        connection = opened.state.connect()
        try:
            rows = proposal_rows(connection)
        finally:
            connection.close()
    if not as_json:
        rows = [row | {"proposed_at": instant(row["proposed_at"])} for row in rows]
    show(rows, as_json, title="Proposed suspensions")


@app.command()
def sign(
    proposal: Proposal,
    key: Key = None,
    person: Person = "",
    reason: Why = "",
    document: Document = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Suspend the receiver's licences, in force at once; `xinguan licence resume` lifts it."""
    _decide(Ruling.SIGN, proposal, key, person, reason, document, home, as_json)


@app.command()
def dismiss(
    proposal: Proposal,
    key: Key = None,
    person: Person = "",
    reason: Why = "",
    document: Document = None,
    waive: Annotated[
        bool, typer.Option("--waive", help="Let the notices go too: the objection is right.")
    ] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=90, help="The new deadline; 3 by default.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Don't suspend: the receiver gets a new deadline, or is let off with --waive."""
    ruling = Ruling.WAIVE if waive else Ruling.DISMISS
    _decide(ruling, proposal, key, person, reason, document, home, as_json, days)


def _decide(
    ruling: Ruling,
    proposal: int,
    key: Path | None,
    person: str,
    reason: str,
    document: Path | None,
    home: Path,
    as_json: bool,
    days: int | None = None,
) -> None:
    if (key is None) == (document is None) or (key is not None and not person):
        raise typer.BadParameter("give --key and --person, or a signed --document")
    if document is not None and (person or reason or days is not None):
        raise typer.BadParameter("a signed --document names the person, the reason and the days")
    with session(home) as opened:
        if key is not None:
            party_id = opened.run(lambda tx: open_proposal(tx, proposal))
            claims = RulingClaims(
                proposal=proposal,
                party=party_id,
                ruling=ruling,
                person=person,
                reason=reason,
                due_days=_DAYS if days is None else days,
                decided_at=opened.act.now,
            )
            signed = sign_document(claims, read_document_key(key), SUSPENSION_TYPE)
        else:
            signed = read_text(document) if document else ""
        ruled: Ruled = opened.run(
            lambda tx: rule(tx, signed, opened.act, proposal=proposal, rulings=_MAY_SAY[ruling])
        )
    told = {
        "proposal": ruled.proposal,
        "party": ruled.party_id,
        "decision": ruled.decision,
        "suspended": list(ruled.suspended),
        "entry": ruled.index,
    }
    show(told, as_json, title="Decided")
