"""`xinguan audit witness`: run a witness for other people's logs, and see one's own witnesses."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.cosignature import CosignatureSigner
from audit.errors import AuditUnavailableError, NoteError
from audit.reader import LogReader
from audit.witness import Witness, make_memory
from audit.witness_http import witness_app
from gateway.cli.console import HERE, AsJson, Home, instant, now, show
from gateway.cli.log_http import check_address
from gateway.cli.until_stopped import run_until_stopped
from gateway.config import ConfigError
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, UnavailableError
from gateway.identity.keyfiles import PRIVATE_MODE, read_private, write_new
from gateway.witnesses import deployment_policy, vouched

app = typer.Typer(help="Witnesses: run one for others' logs, see who vouches for one's own.")
WitnessHome = Annotated[Path, typer.Option("--home", help="The witness's own directory.")]
_KEY = "witness.key"
_VKEY = "witness.vkey"
_DATABASE = "witness.sqlite3"
_PUBLIC_MODE = 0o644
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_\-]*")


@app.command()
def init(
    home: WitnessHome,
    name: Annotated[str, typer.Option(help="Name of the witness: a URL without its scheme.")],
    as_json: AsJson = False,
) -> None:
    """Make a witness: a directory with its own key and its own memory."""
    if not _NAME.fullmatch(name):
        raise InvalidRequestError("BAD_REQUEST", "a witness's name is a URL without its scheme")
    signer = CosignatureSigner(name, Ed25519PrivateKey.generate())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(home / _KEY, f"{signer.signer_key()}\n".encode(), PRIVATE_MODE)
    write_new(home / _VKEY, f"{signer.verifier_key}\n".encode(), _PUBLIC_MODE)
    try:
        make_memory(home / _DATABASE)
    except AuditUnavailableError as error:
        raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None
    note = "Give this key to whoever trusts you. Never restore the database from a backup."
    show({"witness": signer.verifier_key, "note": note}, as_json, title="A new witness")


@app.command("add-log")
def add_log(
    vkey: Annotated[str, typer.Argument(help="Verifier key of the log.")],
    home: WitnessHome,
    as_json: AsJson = False,
) -> None:
    """Witness a log from now on."""
    witness = _open(home)
    try:
        origin = witness.add_log(vkey.strip())
    except NoteError as error:
        raise InvalidRequestError("BAD_KEY", str(error)) from None
    finally:
        witness.close()
    show({"witnessed log": origin}, as_json, title="Log")


@app.command()
def serve(
    home: WitnessHome,
    listen: Annotated[str, typer.Option(help="HOST:PORT.")] = "127.0.0.1:8481",
    as_json: AsJson = False,
) -> None:
    """Cosign checkpoints of the added logs until told to stop (C2SP tlog-witness)."""
    check_address(listen)
    run_until_stopped(_serving(home, listen), as_json=as_json)


@asynccontextmanager
async def _serving(home: Path, listen: str) -> AsyncIterator[dict[str, Any]]:
    from audit.http_site import serve_http

    witness = _open(home)
    try:
        async with serve_http(witness_app(witness), listen) as url:
            yield {"listening": url, "witness": witness.verifier_key}
    except AuditUnavailableError as error:
        raise UnavailableError("PORT_IN_USE", str(error)) from None
    finally:
        witness.close()


@app.command()
def logs(home: WitnessHome, as_json: AsJson = False) -> None:
    """List the witnessed logs and how much of each was cosigned."""
    witness = _open(home)
    try:
        rows = [{"log": origin, "size": size} for origin, size in witness.logs()]
    finally:
        witness.close()
    show(rows, as_json, title="Witnessed logs")


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Tell how old the word of this deployment's witnesses is."""
    deployment = Deployment.open(home)
    policy = deployment_policy(deployment)
    if policy is None:
        raise ConfigError(
            "BAD_POLICY",
            "this log is unwitnessed: the settings name no policy",
            hints=("write [witnesses] policy = ... into xinguan.toml",),
        )
    vkey = deployment.log_vkey
    reader = LogReader(deployment.log_directory, vkey)
    try:
        newest, witnessed = reader.checkpoint(), reader.witnessed()
        at, names = (None, ()) if witnessed is None else vouched(policy, witnessed.note, vkey)
    except NoteError as error:
        raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
    grace = deployment.settings.witnesses.grace_s
    told = {
        "witnessed": at is not None and now() - at <= grace,
        "witnessed_at": instant(at),
        "age_s": None if at is None else max(0, now() - at),
        "grace_s": grace,
        "witnessed_size": 0 if witnessed is None else witnessed.size,
        "size": newest.size,
        "witnesses": list(names),
    }
    show(told, as_json, title="Witnesses")
    if not told["witnessed"]:
        raise typer.Exit(1)


def _open(home: Path) -> Witness:
    """Open a witness's directory.

    Raises:
        KeyFileError: `NO_KEY`, `BAD_FILE_MODE`.
        ConfigError: `BAD_KEY`, `MEMORY_LOST`.
        UnavailableError: `AUDIT_UNAVAILABLE`.
    """
    try:
        signer = CosignatureSigner.parse(read_private(home / _KEY).decode("ascii").strip())
    except (NoteError, UnicodeDecodeError):
        raise ConfigError("BAD_KEY", f"{_KEY} holds no witness's key") from None
    if not (home / _DATABASE).exists():
        raise ConfigError(
            "MEMORY_LOST",
            f"{_DATABASE} is missing: with an empty one this key could vouch for a second history",
            hints=(
                "put back the file itself if it was moved, never one from a backup",
                "if it is lost, make a new witness with a new key, in another directory",
            ),
        )
    try:
        return Witness(home / _DATABASE, signer, now)
    except AuditUnavailableError as error:
        raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None
