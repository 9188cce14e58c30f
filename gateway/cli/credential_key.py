"""`xinguan credential key`: the keys that a deployment signs credentials with."""

from typing import Annotated, Any

import typer

from gateway.cli.console import HERE, AsJson, Home, session, show
from gateway.credential.jws import ES256, Signer
from gateway.credential.keyring import ALGORITHMS, Keyring, new_key
from gateway.deployment import Deployment

app = typer.Typer(help="Keys that sign credentials; the newest signs, all are published.")


@app.command()
def new(
    algorithm: Annotated[str, typer.Option(help="ES256 or EdDSA.")] = ES256,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a key; a gateway signs with it from its next start on."""
    if algorithm not in ALGORITHMS:
        raise typer.BadParameter(f"--algorithm is one of: {', '.join(ALGORITHMS)}")
    from audit import entries

    with session(home) as opened:
        deployment = opened.deployment
        folder = deployment.directory / deployment.settings.files.credential_keys
        made = new_key(folder, algorithm)
        entry = entries.key_changed(
            time=opened.act.now,
            node=opened.act.node,
            actor=opened.act.actor,
            party=deployment.settings.operator,
            purpose="credential",
            key=made.kid,
            status="ACTIVE",
        )
        index = opened.run(lambda tx: tx.append(entry)).index
    show({**_told(made), "entry": index}, as_json, title="Key for credentials")


@app.command("list")
def list_keys(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the keys; the last one signs."""
    deployment = Deployment.open(home)
    keyring = Keyring.open(deployment.directory / deployment.settings.files.credential_keys)
    rows = [{**_told(one), "signs": one is keyring.signer} for one in keyring.signers]
    show(rows, as_json, title="Keys for credentials")


def _told(signer: Signer) -> dict[str, Any]:
    return {"key": signer.kid, "algorithm": signer.algorithm}
