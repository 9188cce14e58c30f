"""`xinguan consent`: documents of registered consent issuers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, instant, read_text, session, show
from gateway.cli.descriptions import read_claims
from gateway.domain.licence import Consent
from gateway.identity.keyfiles import read_document_key
from gateway.registry import consents
from gateway.registry.documents import CONSENT_TYPE, sign

app = typer.Typer(help="Consents: who agreed to what, towards whom, until when.")


@app.command()
def register(
    document: Annotated[
        Path, typer.Argument(help="The signed document; with --key, a description to be signed.")
    ],
    key: Annotated[Path | None, typer.Option(help="The consent issuer's Ed25519 key, PEM.")] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Verify a consent document and register it; subjects are kept as keyed labels only."""
    if key is not None:
        claims = read_claims(document, consents.ConsentClaims, {"v": 1})
        signed = sign(claims, read_document_key(key), CONSENT_TYPE)
    else:
        signed = read_text(document)
    with session(home) as opened:
        keys = opened.deployment.secrets().consents
        done = opened.run(lambda tx: consents.register(tx, signed, opened.act, keys))
    show(_told(done), as_json, title="Consent registered")


@app.command("list")
def list_consents(home: Home = HERE, as_json: AsJson = False) -> None:
    """List consents; their subjects are counted, never named."""
    with session(home) as opened:
        rows = [_told(consent) for consent in opened.view().consents.values()]
    show(rows, as_json, title="Consents")


@app.command()
def withdraw(
    consent: Annotated[str, typer.Argument(help="Consent id.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a consent from now on, for running streams too."""
    with session(home) as opened:
        done = opened.run(lambda tx: consents.withdraw(tx, consent, opened.act))
    show({**_told(done.consent), "entry": done.index}, as_json, title="Consent withdrawn")


def _told(consent: Consent) -> dict[str, Any]:
    return {
        "consent": consent.consent_id,
        "issuer": consent.issuer,
        "recipient": consent.recipient,
        "subjects": len(consent.subjects),
        "mode": consent.mode,
        "purposes": sorted(consent.purposes),
        "products": sorted(consent.data_kinds),
        "cross_border": consent.cross_border,
        "until": instant(consent.not_after),
        "withdrawn": instant(consent.withdrawn_at),
        "entry": consent.index,
    }
