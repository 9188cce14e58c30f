"""`xinguan party`: organisations, their certificates and their document keys."""

from pathlib import Path
from typing import Annotated, Any

import typer

from audit.journal import Transaction
from gateway.cli.authorities import certificate_authority
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Session,
    instant,
    read_bytes,
    session,
    show,
)
from gateway.cli.party_certificate import app as certificate_app
from gateway.cli.party_certificate import issue_for, sign_for
from gateway.cli.party_encryption import app as encryption_app
from gateway.cli.party_key import app as key_app
from gateway.cli.party_name import canonical_id
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.party import Certificate, Party
from gateway.identity.certificates import PARTY_DAYS, read_request
from gateway.registry import certificates, parties
from gateway.registry.registry import View

app = typer.Typer(help="Organisations, their certificates and their document keys.")
app.add_typer(certificate_app, name="certificate")
app.add_typer(key_app, name="key")
app.add_typer(encryption_app, name="encryption-key")

PartyArgument = Annotated[
    str, typer.Argument(help="USCC, or uscc:..., lei:..., reg:CC:...", metavar="PARTY")
]


@app.command()
def add(
    party: PartyArgument,
    name: Annotated[str, typer.Option(help="Name as registered.")],
    role: Annotated[str, typer.Option(help="AGENCY, BANK, CROSS_BORDER_PARTNER, AUDITOR, ...")],
    jurisdiction: Annotated[str, typer.Option(help="ISO 3166 code.")] = "",
    csr: Annotated[Path | None, typer.Option(help="Its certificate request, to be signed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for what is made for it.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Folder of the authority's ca.key, ca.pem.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=825)] = PARTY_DAYS,
    certificate: Annotated[
        bool, typer.Option("--certificate/--no-certificate", help="Issue or sign one.")
    ] = True,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Register an organisation and issue its certificate, or sign its request."""
    if not certificate and (csr or out or ca):
        raise InvalidRequestError(
            "BAD_REQUEST", "without a certificate nothing is signed or made: leave out the files"
        )
    wanted = parties.registration(canonical_id(party), name, role, jurisdiction)
    request = read_bytes(csr) if csr else None
    if request is not None:
        read_request(request)  # a bad request is refused before anything is registered
    with session(home) as opened:
        party_id, act = wanted.party_id, opened.act

        def admit(tx: Transaction, pem: bytes) -> Certificate:
            # One transaction: nobody is registered whose certificate could not be made.
            parties.register(tx, wanted, act)
            return certificates.pin(tx, pem, act)

        if not certificate or opened.view().party(party_id) is not None:
            issued = {}
            opened.run(lambda tx: parties.register(tx, wanted, act))
        else:
            authority = certificate_authority(opened.deployment, ca, act.now, days)
            if request is not None:
                issued = sign_for(opened, authority, party_id, request, days, out, admit)
            else:
                issued = issue_for(opened, authority, party_id, days, out, admit)
        registered = opened.run(lambda tx: parties.find(tx, party_id))
    show(_told(registered) | issued, as_json, title="Registered")


@app.command("list")
def list_parties(home: Home = HERE, as_json: AsJson = False) -> None:
    """List every organisation."""
    with session(home) as opened:
        rows = [_told(party) for party in opened.view().parties.values()]
    show(rows, as_json, title="Organisations")


@app.command("show")
def show_party(party: PartyArgument, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one organisation with its certificates, keys and licences."""
    identity = canonical_id(party)
    with session(home) as opened:
        view = opened.view()
    show(_everything(view, identity), as_json, title="Organisation")


@app.command()
def suspend(party: PartyArgument, home: Home = HERE, as_json: AsJson = False) -> None:
    """Refuse every call of an organisation from now on."""
    with session(home) as opened:
        _change(opened, parties.suspend, party, as_json)


@app.command()
def resume(party: PartyArgument, home: Home = HERE, as_json: AsJson = False) -> None:
    """End a suspension."""
    with session(home) as opened:
        _change(opened, parties.resume, party, as_json)


def _change(opened: Session, change: Any, party: str, as_json: bool) -> None:
    identity = canonical_id(party)
    changed: Party = opened.run(lambda tx: change(tx, identity, opened.act))
    show(_told(changed), as_json, title="Organisation")


def _told(party: Party) -> dict[str, Any]:
    return {
        "party": party.party_id,
        "name": party.name,
        "role": party.role.value,
        "jurisdiction": party.jurisdiction,
        "status": party.status.value,
        "entry": party.index,
    }


def _everything(view: View, identity: str) -> dict[str, Any]:
    party = view.party(identity)
    if party is None:
        raise NotFoundError("NOT_FOUND", "no such organisation")
    certificates = [
        f"{known.fingerprint} {known.status.value} until {instant(known.not_after)}"
        for known in view.certificates.values()
        if known.party_id == identity
    ]
    keys = [
        f"{known.key_id} {known.status.value}"
        for known in view.document_keys.values()
        if known.party_id == identity
    ]
    licences = [
        f"{known.licence_id} serial {known.serial} {known.status.value}"
        for known in view.licences.values()
        if known.party_id == identity
    ]
    return {
        **_told(party),
        "certificates": certificates,
        "document_keys": keys,
        "licences": licences,
    }
