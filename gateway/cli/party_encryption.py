"""`xinguan party encryption-key`: the keys to which organisations have answers encrypted."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, now, read_bytes, read_text, session, show
from gateway.cli.party_name import canonical_id
from gateway.cli.signed_file import write_signed
from gateway.cli.written import NewFile, write_together
from gateway.identity.keyfiles import PRIVATE_MODE, read_document_key
from gateway.registry import encryption_keys
from gateway.registry.documents import sign
from gateway.registry.encryption_keys import (
    KEY_TYPE,
    EncryptionKey,
    EncryptionKeyClaims,
    PublicJwk,
    parse_jwk,
)
from xinguan.sealing import DecryptionKey

app = typer.Typer(help="Keys to which organisations have their answers encrypted (JWE).")
_PUBLIC_MODE = 0o644

PartyArgument = Annotated[
    str, typer.Argument(help="USCC, or uscc:..., lei:..., reg:CC:...", metavar="PARTY")
]
PublicKey = Annotated[Path, typer.Argument(help="Its public key, a JWK.", metavar="JWK")]


@app.command()
def make(
    out: Annotated[Path, typer.Option("--out", help="Where the private JWK is written, 0600.")],
    public: Annotated[
        Path | None, typer.Option("--public", help="Where the public JWK is written.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key pair, as an organisation does on its own machine; print the public half."""
    key = DecryptionKey.generate()
    files = [NewFile(out, key.private_jwk().encode(), PRIVATE_MODE)]
    told = {"private": str(out), "jwk": key.public_jwk()}
    if public is not None:
        files.append(NewFile(public, f"{key.public_jwk()}\n".encode(), _PUBLIC_MODE))
        told["public"] = str(public)
    write_together(files)
    show(told, as_json, title="Key pair made")


@app.command("sign")
def sign_key(
    party: PartyArgument,
    public_key: PublicKey,
    key: Annotated[Path, typer.Option("--key", help="The organisation's document key, PEM.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where the document is put.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign for an encryption key, as its owner does; the operator registers the document."""
    _, public = parse_jwk(read_bytes(public_key))
    claims = EncryptionKeyClaims(
        party_id=canonical_id(party),
        jwk=PublicJwk.model_validate_json(public),
        issued_at=now(),
    )
    document = sign(claims, read_document_key(key), KEY_TYPE)
    told = {"document": document}
    write_signed(out, document)
    if out is not None:
        told["file"] = str(out)
    show(told, as_json, title="Signed")


@app.command()
def register(
    document: Annotated[Path, typer.Argument(help="The signed document.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Register a key that its owner signed for with its registered document key."""
    text = read_text(document)
    with session(home) as opened:
        done = opened.run(lambda tx: encryption_keys.register_signed(tx, text, opened.act))
    show(_told(done), as_json, title="Encryption key registered")


@app.command()
def add(
    party: PartyArgument,
    public_key: PublicKey,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Register a key that the organisation handed to the operator."""
    identity, jwk = canonical_id(party), read_bytes(public_key)
    with session(home) as opened:
        done = opened.run(lambda tx: encryption_keys.register(tx, identity, jwk, opened.act))
    show(_told(done), as_json, title="Encryption key registered")


@app.command(context_settings={"ignore_unknown_options": True})  # an id may begin with "-"
def revoke(
    key: Annotated[str, typer.Argument(help="Key id.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Encrypt nothing more to a key."""
    with session(home) as opened:
        done = opened.run(lambda tx: encryption_keys.revoke(tx, key, opened.act))
    show(_told(done), as_json, title="Encryption key revoked")


@app.command("list")
def list_keys(home: Home = HERE, as_json: AsJson = False) -> None:
    """List encryption keys."""
    with session(home) as opened:
        rows = [_told(key) for key in opened.view().encryption_keys.values()]
    show(rows, as_json, title="Encryption keys")


def _told(key: EncryptionKey) -> dict[str, Any]:
    return {
        "key": key.key_id,
        "party": key.party_id,
        "status": key.status.value,
        "entry": key.index,
    }
