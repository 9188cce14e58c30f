"""`xinguan init`: make a deployment."""

from pathlib import Path
from typing import Annotated

import typer

from audit.errors import AuditUnavailableError
from gateway.cli.console import AsJson, now, read_bytes, read_text, show
from gateway.domain.errors import UnavailableError
from gateway.domain.party import parse_party_id
from gateway.founding import Founding, found
from gateway.identity.tls_files import require_authorities

_DEV_NOTE = (
    "The development authority's keys lie in dev-authority/, beside the gateway's own files. "
    "Whoever holds them can admit any organisation and grant any licence: never in production."
)
_STANDARD_NOTE = (
    "Have gateway/identity/server.csr signed, put the certificate at gateway/identity/server.pem "
    "and the authorities of client certificates at gateway/identity/client-ca.pem."
)


def init(
    directory: Annotated[Path, typer.Argument(help="A new or an empty directory.")],
    dev: Annotated[bool, typer.Option("--dev", help="Make development authorities too.")] = False,
    authority: Annotated[
        Path | None,
        typer.Option(help="The licence authority's Ed25519 public key, PEM."),
    ] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="Authorities of client certificates, PEM.")
    ] = None,
    node: Annotated[str, typer.Option(help="Name of this node in the log.")] = "node-1",
    origin: Annotated[str, typer.Option(help="Name of the audit log.")] = "xinguan.example/log",
    operator: Annotated[str, typer.Option(help="Party id of the operator, uscc:...")] = "",
    listen: Annotated[str, typer.Option(help="HOST:PORT.")] = "127.0.0.1:8443",
    server_name: Annotated[
        list[str] | None, typer.Option(help="Host name or address of the server; repeatable.")
    ] = None,
    state: Annotated[
        str,
        typer.Option(help="postgresql://USER@HOST/DATABASE for the state; else a SQLite file."),
    ] = "",
    state_password: Annotated[
        Path | None,
        typer.Option(help="File with the database's password; else libpq looks for it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a deployment: settings, keys, state and an open log, in one command."""
    wanted = Founding(
        dev=dev,
        authority_pem=read_bytes(authority) if authority else b"",
        client_ca_pem=_authorities(client_ca) if client_ca else b"",
        node=node,
        origin=origin,
        operator=parse_party_id(operator) if operator else "",
        listen=listen,
        server_names=tuple(server_name or ("localhost", "127.0.0.1")),
        state_url=state,
        state_password=read_text(state_password).strip() if state_password else "",
    )
    try:
        deployment = found(directory, wanted, now())
    except AuditUnavailableError as error:
        raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None
    note = _DEV_NOTE if dev else _STANDARD_NOTE
    made = {
        "deployment": str(deployment.root),
        "profile": deployment.settings.profile.value,
        "node": node,
        "listen": listen,
        "log": deployment.log_vkey,
        "state": "PostgreSQL" if state else "SQLite",
        "authority": ", ".join(deployment.authority_keys()),
        "note": note,
    }
    show(made, as_json, title="A new deployment")


def _authorities(file: Path) -> bytes:
    """Return the authorities in a file; an empty one would be taken for none given.

    Raises:
        CertificateError: `BAD_CERTIFICATE`.
    """
    pem = read_bytes(file)
    require_authorities(pem, file.name)
    return pem
