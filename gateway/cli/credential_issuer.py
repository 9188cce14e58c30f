"""The issuer's side of `xinguan credential`: status, invalidation, files for a static server."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from audit import entries
from audit.journal import Transaction
from gateway.cli.console import HERE, AsJson, Home, Session, instant, session, show
from gateway.credential import book
from gateway.credential.book import Kept
from gateway.credential.issuer import Issuer
from gateway.credential.keyring import Keyring
from gateway.credential.metadata import list_url
from gateway.credential.publication import ListPublication, write_documents
from gateway.credential.status_list import CredentialStatus
from gateway.domain.errors import ConflictError, NotFoundError, NotSupportedError
from gateway.registry.catalogue import Catalogue

CredentialId = Annotated[str, typer.Argument(help="Id of the credential, its `jti`.")]


class Cause(StrEnum):
    """Why a credential is made invalid; there is no third (domain-rules 13)."""

    ERROR = "error"
    FRAUD = "fraud"


def status(credential: CredentialId, home: Home = HERE, as_json: AsJson = False) -> None:
    """Tell what became of a credential that this deployment issued."""
    with session(home) as opened:
        kept = opened.run(lambda tx: _find(tx, credential))
        told = _told(opened, kept)
    show(told, as_json, title="Credential")


def invalidate(
    credential: CredentialId,
    cause: Annotated[Cause, typer.Option(help="error or fraud; a repair is neither.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a credential invalid that was issued in error or by fraud, for good."""
    with session(home) as opened:

        def job(tx: Transaction) -> tuple[Kept, int]:
            kept = _find(tx, credential)
            if not book.change_status(
                tx, [kept.credential_id], CredentialStatus.INVALID, opened.act.now
            ):
                raise ConflictError("CONFLICT", "this credential is invalid already")
            entry = entries.credential_status(
                time=opened.act.now,
                node=opened.act.node,
                actor=opened.act.actor,
                product=kept.product,
                status=CredentialStatus.INVALID.name,
                reason=cause.name,
                count=1,
            )
            return _find(tx, credential), tx.append(entry).index

        kept, index = opened.run(job)
        told = {**_told(opened, kept), "entry": index}
    show(told, as_json, title="Credential invalidated")


def publish(
    out: Annotated[Path, typer.Option(help="Folder of a static server.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write what an issuer publishes into a folder: metadata, keys, types, status lists."""
    with session(home) as opened:
        deployment = opened.deployment
        settings = deployment.settings.credentials
        if not settings.issuer:
            raise NotSupportedError("CREDENTIALS_OFF", "the settings name no issuer")
        keyring = Keyring.open(deployment.directory / deployment.settings.files.credential_keys)
        issuer = Issuer(keyring, settings, Catalogue.load().products)
        opened.run(lambda tx: book.ensure_list(tx, settings.list_entries))
        write_documents(out, issuer.documents)
        publication = ListPublication(out, issuer.signer, settings)
        lists = opened.run(lambda tx: publication.publish(tx, opened.act.now))
    told = {"folder": str(out), "documents": len(issuer.documents), "status_lists": lists}
    show({**told, "max_age_s": settings.ttl_s}, as_json, title="Published")


def _find(tx: Transaction, credential: str) -> Kept:
    found = book.find(tx, credential)
    if found is None:
        raise NotFoundError("NOT_FOUND", "no such credential was issued here, or it is forgotten")
    return found


def _told(opened: Session, kept: Kept) -> dict[str, Any]:
    return {
        "credential": kept.credential_id,
        "status": kept.status.name,
        "since": instant(kept.status_at),
        "issued": instant(kept.issued_at),
        "expires": instant(kept.expires_at),
        "product": kept.product,
        "party": kept.party_id,
        "status_list": list_url(opened.deployment.settings.credentials.issuer, kept.where.number),
        "place": kept.where.place,
        "issue_entry": kept.log_index,
    }
