"""`xinguan whitelist`: which fields may cross to which partner, on whose two approvals (R68)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, Session, instant, read_text, session, show
from gateway.cli.descriptions import parse_instant
from gateway.cli.party_name import canonical_id
from gateway.identity.keyfiles import read_document_key
from gateway.registry import whitelists
from gateway.registry.documents import APPROVAL_TYPE, sign
from gateway.registry.whitelists import Proposal

app = typer.Typer(help="Field whitelists for partners across the border (R68).")

Partner = Annotated[str, typer.Option("--partner", help="Party id of the partner.")]
Product = Annotated[str, typer.Option("--product", help="Product name.")]
Approved = Annotated[
    int | None,
    typer.Option("--version", min=1, max=2**31 - 1, help="Version of the whitelist; 1 by default."),
]
Version = Annotated[
    int, typer.Option("--version", min=1, max=2**31 - 1, help="Version of the whitelist.")
]


@app.command()
def propose(
    partner: Partner,
    product: Product,
    field: Annotated[list[str], typer.Option("--field", help="A field; repeatable.")],
    mechanism: Annotated[str, typer.Option(help="Id of the mechanism that binds it.")] = "",
    start: Annotated[str, typer.Option("--from", help="Start of effect; now by default.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Propose a new version; it has no effect before two approvals of different roles."""
    identity = canonical_id(partner)
    with session(home) as opened:
        begin = parse_instant(start) if start else opened.act.now
        done = opened.run(
            lambda tx: whitelists.propose(
                tx,
                whitelists.content(
                    partner=identity,
                    product=product,
                    version=whitelists.next_version(tx, identity, product),
                    fields=field,
                    mechanism=mechanism,
                    not_before=begin,
                ),
                opened.act,
            )
        )
    show(_told(done), as_json, title="Whitelist proposed")


@app.command()
def approve(
    partner: Partner = "",
    product: Product = "",
    version: Approved = None,
    key: Annotated[
        Path | None, typer.Option(help="The approver's document key: signs the approval here.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="An approval that was signed elsewhere.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Record an approval that an administrator signed with a registered document key."""
    if (key is None) == (document is None) or (key is not None and not (partner and product)):
        raise typer.BadParameter("give --partner, --product and --key, or a signed --document")
    if document is not None and (partner or product or version is not None):
        raise typer.BadParameter("a signed --document says itself what it approves")
    with session(home) as opened:
        if key is not None:
            signed = _sign(opened, canonical_id(partner), product, version or 1, key)
        else:
            signed = read_text(document) if document else ""
        done = opened.run(lambda tx: whitelists.approve_signed(tx, signed, opened.act))
    show(_told(done), as_json, title="Approval recorded")


@app.command("list")
def list_whitelists(home: Home = HERE, as_json: AsJson = False) -> None:
    """List every version, those that await approvals included."""
    with session(home) as opened:
        rows = [_told(proposal) for proposal in opened.run(whitelists.every)]
    show(rows, as_json, title="Whitelists")


@app.command()
def withdraw(
    partner: Partner,
    product: Product,
    version: Version,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a version from now on; no older version comes back."""
    identity = canonical_id(partner)
    with session(home) as opened:
        done = opened.run(
            lambda tx: whitelists.withdraw(tx, identity, product, version, opened.act)
        )
    show(_told(done), as_json, title="Whitelist withdrawn")


def _sign(opened: Session, partner: str, product: str, version: int, key: Path) -> str:
    """Return the proposed content as an approval signed by the approver's key."""
    proposal = opened.run(lambda tx: whitelists.find(tx, partner, product, version))
    return sign(proposal.content, read_document_key(key), APPROVAL_TYPE)


def _told(proposal: Proposal) -> dict[str, Any]:
    content = proposal.content
    if proposal.withdrawn_at is not None:
        state = "withdrawn"
    else:
        state = "awaits approval" if proposal.approved_index is None else "approved"
    return {
        "partner": content.partner,
        "product": content.product,
        "version": content.version,
        "fields": list(content.fields),
        "mechanism": content.mechanism,
        "from": instant(content.not_before),
        "approvals": {role: who for role, (who, _) in proposal.approvals.items()},
        "state": state,
        "entry": proposal.index,
    }
