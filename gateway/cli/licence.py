"""`xinguan licence`: documents that the authority signs."""

from collections.abc import Callable
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
    Session,
    because,
    instant,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import read_claims, stated_text
from gateway.cli.signed_file import signed_file
from gateway.domain.errors import NotFoundError
from gateway.domain.licence import Licence
from gateway.identity.keyfiles import read_document_key
from gateway.registry import licences
from gateway.registry.act import Act
from gateway.registry.catalogue import POLICY_CATALOGUE, Catalogue
from gateway.registry.documents import LICENCE_TYPE, BadDocumentError, sign

app = typer.Typer(help="Licences: who may ask for which fields, for what, until when.")

LicenceArgument = Annotated[str, typer.Argument(help="Licence id.", metavar="LICENCE")]
Change = Callable[[Transaction, str, Act], Licence]


@app.command()
def issue(
    description: Annotated[
        Path | None, typer.Argument(help="Description to be signed: YAML, JSON or TOML.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="A document that the authority signed elsewhere.")
    ] = None,
    authority_key: Annotated[
        Path | None, typer.Option(help="The authority's Ed25519 private key, PEM.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put the signed document.")] = None,
    catalogue: Annotated[Path, typer.Option(help="Folder with the data contracts.")] = (
        POLICY_CATALOGUE
    ),
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign a licence with the authority's key, or take a signed one, and put it in force."""
    if (description is None) == (document is None) or (document and authority_key):
        raise typer.BadParameter(
            "give a description to sign (with --authority-key), or a signed --document"
        )
    with session(home) as opened:
        if description is not None:
            signed = _sign(opened, description, authority_key)
        else:
            signed = read_text(document) if document else ""
        keys = opened.deployment.authority_keys()
        known = _contracts(catalogue)
        with signed_file(out, signed):
            licence = opened.run(
                lambda tx: licences.activate(
                    tx, signed, opened.act, authority_key=keys.get, catalogue=known
                )
            )
    show(_told(licence), as_json, title="Licence in force")


@app.command("list")
def list_licences(home: Home = HERE, as_json: AsJson = False) -> None:
    """List licences in their highest serial."""
    with session(home) as opened:
        rows = [_summary(licence) for licence in opened.view().licences.values()]
    show(rows, as_json, title="Licences")


@app.command("show")
def show_licence(licence: LicenceArgument, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one licence."""
    with session(home) as opened:
        found = opened.view().licence(licence)
    if found is None:
        raise NotFoundError("NOT_FOUND", "no such licence")
    show(_told(found), as_json, title="Licence")


@app.command()
def suspend(
    licence: LicenceArgument, reason: Reason = "", home: Home = HERE, as_json: AsJson = False
) -> None:
    """Suspend a licence at once, for running streams too."""
    _change(licences.suspend, licence, reason, home, as_json)


@app.command()
def resume(
    licence: LicenceArgument, reason: Reason = "", home: Home = HERE, as_json: AsJson = False
) -> None:
    """End a suspension."""
    _change(licences.resume, licence, reason, home, as_json)


@app.command()
def revoke(
    licence: LicenceArgument, reason: Reason = "", home: Home = HERE, as_json: AsJson = False
) -> None:
    """End a licence for ever."""
    _change(licences.revoke, licence, reason, home, as_json)


def _change(change: Change, licence: str, reason: str, home: Path, as_json: bool) -> None:
    with session(home) as opened:
        changed = opened.run(lambda tx: change(tx, licence, because(opened.act, reason)))
    show(_summary(changed), as_json, title="Licence")


def _sign(opened: Session, description: Path, key: Path | None) -> str:
    """Return the description as a document that the authority's key signed."""
    path = authority_key_path(opened.deployment, key)
    licence_id = stated_text(description, "licence_id")
    if not licence_id:
        raise BadDocumentError("licence_id: a licence has a stable id")
    serial = opened.run(lambda tx: licences.next_serial(tx, licence_id))
    defaults = {"v": 1, "serial": serial}
    claims = read_claims(description, licences.LicenceClaims, defaults)
    return sign(claims, read_document_key(path), LICENCE_TYPE)


def _contracts(directory: Path) -> dict[str, frozenset[str]]:
    catalogue = Catalogue.load(directory)
    return {name: frozenset(catalogue.product(name).fields) for name in catalogue.names()}


def _summary(licence: Licence) -> dict[str, Any]:
    return {
        "licence": licence.licence_id,
        "serial": licence.serial,
        "party": licence.party_id,
        "kind": licence.kind.value,
        "products": sorted(licence.grants),
        "until": instant(licence.not_after),
        "status": licence.status.value,
        "entry": licence.status_index,
    }


def _told(licence: Licence) -> dict[str, Any]:
    return {
        **_summary(licence),
        "from": instant(licence.not_before),
        "agreement": licence.agreement.agreement_id,
        "exporter": licence.agreement.exporter,
        "fields": {name: sorted(grant.fields) for name, grant in licence.grants.items()},
        "pseudonymous": sorted(
            name for name, grant in licence.grants.items() if grant.pseudonymous
        ),
        "purposes": sorted(licence.purposes),
        "scenarios": sorted(licence.scenarios),
        "destinations": sorted(licence.destinations),
        "subject_kinds": sorted(kind.value for kind in licence.subject_kinds),
        "calls_per_second": licence.quotas.calls_per_second,
        "rows_per_day": licence.quotas.rows_per_day,
        "signed_requests": licence.signed_requests,
        "sealed_answers": licence.sealed_answers,
        "signer": licence.signer,
        "activated_by_entry": licence.index,
    }
