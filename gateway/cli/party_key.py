"""`xinguan party key`: the Ed25519 keys with which organisations sign documents."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, read_bytes, session, show
from gateway.cli.party_name import canonical_id, folder_name
from gateway.founding import DIRECTORY_MODE
from gateway.identity.keyfiles import (
    new_document_key,
    parse_document_public_key,
    write_private_key,
)
from gateway.registry import document_keys, parties
from gateway.registry.document_keys import DocumentKey

app = typer.Typer(help="Keys with which organisations sign documents (consents, approvals).")

PartyArgument = Annotated[
    str, typer.Argument(help="USCC, or uscc:..., lei:..., reg:CC:...", metavar="PARTY")
]


@app.command()
def register(
    party: PartyArgument,
    public_key: Annotated[Path, typer.Argument(help="Its Ed25519 public key, PEM.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Register a key that the organisation made itself."""
    identity = canonical_id(party)
    key = parse_document_public_key(read_bytes(public_key))
    with session(home) as opened:
        done = opened.run(lambda tx: document_keys.register(tx, identity, key, opened.act))
    show(_told(done), as_json, title="Document key registered")


@app.command()
def issue(
    party: PartyArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the key.")] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a key for an organisation and register it."""
    identity = canonical_id(party)
    with session(home) as opened:
        opened.run(lambda tx: parties.find(tx, identity))
        folder = out or opened.deployment.parties_directory / folder_name(identity)
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        key = new_document_key()
        write_private_key(folder / "document.key", key)
        public_key = key.public_key()
        done = opened.run(lambda tx: document_keys.register(tx, identity, public_key, opened.act))
    show({**_told(done), "folder": str(folder)}, as_json, title="Document key issued")


@app.command(context_settings={"ignore_unknown_options": True})  # an id may begin with "-"
def revoke(
    key: Annotated[str, typer.Argument(help="Key id.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Accept nothing more that a key signs."""
    with session(home) as opened:
        done = opened.run(lambda tx: document_keys.revoke(tx, key, opened.act))
    show(_told(done), as_json, title="Document key revoked")


@app.command("list")
def list_keys(home: Home = HERE, as_json: AsJson = False) -> None:
    """List document keys."""
    with session(home) as opened:
        rows = [_told(key) for key in opened.view().document_keys.values()]
    show(rows, as_json, title="Document keys")


def _told(key: DocumentKey) -> dict[str, Any]:
    return {
        "key": key.key_id,
        "party": key.party_id,
        "status": key.status.value,
        "entry": key.index,
    }
