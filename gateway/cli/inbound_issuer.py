"""`xinguan inbound issuer`: whose documents from abroad are recognised, and what they may state."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.journal import Transaction
from gateway.cli.authorities import authority_key_path
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Reason,
    because,
    instant,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import read_claims
from gateway.cli.signed_file import write_signed
from gateway.identity.keyfiles import read_document_key
from gateway.inbound.mapping import check_registration
from gateway.registry import issuers
from gateway.registry.act import Act
from gateway.registry.documents import APPROVAL_TYPE, sign
from gateway.registry.issuer_claims import ISSUER_TYPE, IssuerClaims, canonical
from gateway.registry.issuers import Registration

app = typer.Typer(help="Issuers abroad: keys, what they may state, onward use.")
Issuer = Annotated[str, typer.Argument(help="The issuer, its https address.")]
Approved = Annotated[
    int | None,
    typer.Option(
        "--version", min=1, max=2**31 - 1, help="Version of the registration; 1 by default."
    ),
]


@app.command()
def add(
    description: Annotated[
        Path | None, typer.Argument(help="The registration, YAML or JSON: proposed here.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="A registration that the authority signed: in force.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Propose a registration, or put one in force that the authority signed.

    A proposal takes effect with the second approval, of another role than the first.
    """
    if (description is None) == (document is None):
        raise typer.BadParameter("give a description to propose, or a signed --document")
    with session(home) as opened:
        if document is not None:
            token, keys = read_text(document), opened.deployment.authority_keys().get
            done = opened.run(
                lambda tx: issuers.register_signed(
                    tx, token, opened.act, authority_key=keys, check=check_registration
                )
            )
        else:
            claims = _described(description or Path(), opened.act.now)
            done = opened.run(lambda tx: issuers.propose(tx, claims, opened.act))
    show(_told(done), as_json, title="Issuer registered" if document else "Issuer proposed")


@app.command("sign")
def sign_registration(
    description: Annotated[Path, typer.Argument(help="The registration, YAML or JSON.")],
    authority_key: Annotated[
        Path | None, typer.Option(help="The authority's Ed25519 private key, PEM.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put it; else it is printed.")] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign a registration with the authority's key, the development one by default."""
    with session(home) as opened:
        claims = _described(description, opened.act.now)
        key = read_document_key(authority_key_path(opened.deployment, authority_key))
    token = sign(claims, key, ISSUER_TYPE)
    write_signed(out, token)
    if as_json or out is not None:
        told = {"issuer": claims.issuer, "version": claims.version, "document": token}
        show(told, as_json, title="Registration signed")
    else:
        print(token)


@app.command()
def approve(
    issuer: Annotated[str, typer.Argument(help="The issuer, its https address.")] = "",
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
    if (key is None) == (document is None) or (key is not None and not issuer):
        raise typer.BadParameter("give the issuer and --key, or a signed --document")
    if document is not None and (issuer or version is not None):
        raise typer.BadParameter("a signed --document says itself what it approves")
    with session(home) as opened:
        if key is not None:
            proposed = opened.run(lambda tx: issuers.find(tx, issuer, version or 1))
            signed = sign(proposed.content, read_document_key(key), APPROVAL_TYPE)
        else:
            signed = read_text(document) if document else ""
        done = opened.run(lambda tx: issuers.approve_signed(tx, signed, opened.act))
    show(_told(done), as_json, title="Approval recorded")


@app.command("list")
def list_issuers(home: Home = HERE, as_json: AsJson = False) -> None:
    """List every version, those that await approvals and those withdrawn included."""
    with session(home) as opened:
        rows = [_told(found) for found in opened.run(issuers.every)]
    show(rows, as_json, title="Issuers abroad")


@app.command()
def withdraw(
    issuer: Issuer,
    reason: Reason = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End an issuer from now on and withdraw whatever of it is served; it holds on return.

    When that fails half-way, do it again: an issuer that was withdrawn before stays so, with the
    reason given then, and what is still served of it is withdrawn.
    """
    from gateway.cli.inbound import withdraw_all

    with session(home) as opened:
        act = because(opened.act, reason)
        done, before = opened.run(lambda tx: _withdrawn(tx, issuer, act))
        ended = withdraw_all(opened, issuer)
    told = {"withdrawn_before": before, "records_withdrawn": len(ended.found)}
    show(_told(done) | told, as_json, title="Issuer withdrawn")


def _withdrawn(tx: Transaction, issuer: str, act: Act) -> tuple[Registration, bool]:
    """Withdraw an issuer unless it is withdrawn already; say whether it was."""
    newest = issuers.find(tx, issuer, issuers.next_version(tx, issuer) - 1)
    if newest.withdrawn_at is not None:
        return newest, True
    return issuers.withdraw(tx, issuer, act), False


def _described(path: Path, now: int) -> IssuerClaims:
    claims = read_claims(path, IssuerClaims, {"not_before": now})
    check_registration(claims)
    return claims


def _told(found: Registration) -> dict[str, Any]:
    said = found.content
    if found.withdrawn_at is not None:
        state = "withdrawn"
    else:
        state = "awaits approval" if found.approved_index is None else "approved"
    return {
        "issuer": said.issuer,
        "version": said.version,
        "name": said.name,
        "kind": said.kind.value,
        "jurisdiction": said.jurisdiction,
        "states": [statement.vct for statement in said.statements],
        "keys": [key.get("kid", "") for key in said.keys],
        "agreement": said.agreement.agreement_id,
        "onward_use": said.agreement.onward_use,
        "from": instant(said.not_before),
        "approvals": {role: who for role, (who, _) in found.approvals.items()},
        "content": hashlib.sha256(canonical(said).encode()).hexdigest(),
        "state": state,
        "entry": found.index,
    }
