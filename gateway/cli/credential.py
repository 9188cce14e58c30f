"""`xinguan credential`: issue, show, present and verify credentials, and what became of them."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import credential_issuer, credential_key
from gateway.cli.console import AsJson, instant, now, read_bytes, read_text, show
from gateway.cli.refused import as_told
from gateway.credential import sd_jwt
from gateway.credential.errors import CredentialError
from gateway.credential.jws import parse
from gateway.credential.key_binding import Binding, bind
from gateway.credential.keyring import read_holder_key
from gateway.credential.opening import CREDENTIAL_TYPE
from gateway.credential.opening import instant as stated_instant
from gateway.credential.verify import Checks, Jwks, Trust, Verified, status_place
from gateway.credential.verify import verify as verify_credential
from gateway.domain.errors import InvalidRequestError, UnavailableError

app = typer.Typer(help="Credentials about enterprises that partners check offline (SD-JWT VC).")
app.add_typer(credential_key.app, name="key")
app.command("status")(credential_issuer.status)
app.command("invalidate")(credential_issuer.invalidate)
app.command("publish")(credential_issuer.publish)

CredentialFile = Annotated[Path, typer.Argument(help="The credential, as it was issued or shown.")]
Out = Annotated[Path | None, typer.Option(help="Where the credential is written.")]
HolderKey = Annotated[
    Path | None, typer.Option(help="The holder's private key, PEM: P-256 or Ed25519.")
]
Audience = Annotated[str, typer.Option(help="The verifier's own name, in the holder's proof.")]
Nonce = Annotated[str, typer.Option(help="What the verifier asked the holder to sign.")]


@app.command()
def issue(
    product: Annotated[str, typer.Argument(help="Product name.")],
    subject: Annotated[str, typer.Option(help="Code of the enterprise.")],
    field: Annotated[list[str], typer.Option("--field", help="A field; repeatable.")],
    gateway: Annotated[str, typer.Option(help="HOST:PORT of the gateway.")],
    party: Annotated[Path, typer.Option(help="Folder with client.pem and client.key.")],
    server_ca: Annotated[Path, typer.Option(help="The gateway's authority, PEM.")],
    purpose: Annotated[str, typer.Option(help="Purpose code of the licence.")],
    scenario: Annotated[str, typer.Option(help="Scenario code of the licence.")],
    operator: Annotated[str, typer.Option(help="Who asks; the log commits to it.")],
    case: Annotated[str, typer.Option(help="The case; the log commits to it.")],
    destination: Annotated[str, typer.Option(help="Where it will be used, ISO 3166.")] = "CN",
    holder_key: HolderKey = None,
    replaces: Annotated[str, typer.Option(help="Id of an earlier one, to be refreshed.")] = "",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Have a gateway issue a credential of one enterprise, as one of its partners."""
    words = {
        "subjects": [subject], "purpose": purpose, "scenario": scenario, "operator": operator,
        "case_reference": case, "destination": destination,
    }  # fmt: skip
    holder = _public_jwk(holder_key)
    files = (party / "client.pem", party / "client.key", server_ca)
    told = asyncio.run(_issue(gateway, files, product, field, words, holder, replaces))
    if out is not None:
        _write(out, told["credential"])
        told = {**told, "credential": str(out)}
    show(told, as_json, title="Credential issued")


@app.command("show")
def show_credential(file: CredentialFile, as_json: AsJson = False) -> None:
    """Show what a credential says; nothing is verified."""
    presented = sd_jwt.split(read_text(file).strip())
    token = parse(presented.jwt, CREDENTIAL_TYPE)
    claims = sd_jwt.reveal(token.payload, presented.disclosures)
    hidden = len(token.payload.get(sd_jwt.DIGESTS, [])) - len(presented.disclosures)
    uri, place = status_place(claims)
    told = {
        "verified": False,
        "issuer": claims.get("iss"),
        "key": token.header.get("kid"),
        "algorithm": token.header.get("alg"),
        "type": claims.get("vct"),
        "credential": claims.get("jti"),
        "expires": instant(stated_instant(claims, "exp")),
        "holder_bound": "cnf" in claims,
        "holder_proof": bool(presented.key_binding),
        "status_list": f"{uri} entry {place}",
        "release": claims.get("release"),
        "shown": {name: value for name, value in claims.items() if name not in token.payload},
        "not_shown": hidden,
    }
    show(told, as_json, title="Credential, not verified")


@app.command()
def present(
    file: CredentialFile,
    field: Annotated[list[str], typer.Option("--field", help="A field to show; repeatable.")],
    holder_key: HolderKey = None,
    audience: Audience = "",
    nonce: Nonce = "",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show only some fields of a credential, with the holder's proof where a key is given."""
    text = sd_jwt.select(read_text(file).strip(), field)
    if holder_key is not None:
        if not audience or not nonce:
            raise typer.BadParameter("a proof names --audience and --nonce")
        text = bind(text, read_holder_key(holder_key), Binding(audience, nonce), now())
    if out is not None:
        _write(out, text)
    told = {"credential": str(out) if out else text, "shown": list(field)}
    show({**told, "holder_proof": holder_key is not None}, as_json, title="Presentation")


@app.command()
def verify(
    file: CredentialFile,
    issuer: Annotated[
        list[Path], typer.Option("--issuer", help="Metadata of a trusted issuer; repeatable.")
    ],
    status_list: Annotated[
        Path | None, typer.Option(help="The status list that the credential names.")
    ] = None,
    no_status: Annotated[
        bool, typer.Option("--no-status", help="Leave status out, knowing what that means.")
    ] = False,
    list_age: Annotated[
        int, typer.Option(min=0, help="Greatest age of the list in seconds; 0: as it says.")
    ] = 0,
    audience: Audience = "",
    nonce: Nonce = "",
    as_json: AsJson = False,
) -> None:
    """Verify a credential offline, with files that were fetched from its issuer before."""
    if (status_list is None) != no_status:
        raise typer.BadParameter("give --status-list, or --no-status to leave it out")
    if bool(audience) != bool(nonce):
        raise typer.BadParameter("a holder's proof is checked with --audience and --nonce")
    checks = Checks(
        at=now(),
        binding=Binding(audience, nonce) if audience else None,
        status_list=None if status_list is None else read_text(status_list),
        longest_list_age_s=list_age or None,
    )
    trust = _trusted(issuer)
    show(_verified(verify_credential(read_text(file), trust, checks)), as_json, title="Verified")


def _trusted(files: Sequence[Path]) -> Trust:
    """Return whom some files of issuer metadata say to trust.

    Raises:
        InvalidRequestError: `BAD_REQUEST`, naming the file: it is not the credential's fault.
    """
    issuers: dict[str, Jwks] = {}
    for path in files:
        try:
            issuers.update(Trust.of(read_bytes(path)).issuers)
        except CredentialError:
            raise InvalidRequestError(
                "BAD_REQUEST",
                f"{path.name} is not the metadata of an issuer",
                hints=("fetch it from the issuer: its URL with /.well-known/jwt-vc-issuer",),
            ) from None
    return Trust(issuers)


async def _issue(
    gateway: str,
    files: tuple[Path, Path, Path],
    product: str,
    fields: list[str],
    words: dict[str, Any],
    holder: str,
    replaces: str,
) -> dict[str, Any]:
    from xinguan.client import Client, Identity, RefusedError, TransportError

    try:
        identity = Identity.load(*files)
    except (OSError, ValueError):
        raise typer.BadParameter(
            "the certificate, its key or the gateway's authority can't be read"
        ) from None
    try:
        async with Client(gateway, identity) as client:
            made = await client.issue_credential(
                client.build_query(product, fields, **words), holder_jwk=holder, replaces=replaces
            )
    except RefusedError as refusal:
        raise as_told(refusal) from None
    except TransportError:
        raise UnavailableError(
            "NO_GATEWAY", "no gateway answers at this address", hints=("check --gateway",)
        ) from None
    return {
        "credential": made.sd_jwt,
        "id": made.credential_id,
        "fields": list(made.fields),
        "expires": instant(made.expires_at.seconds),
        "status_list": made.status_list_uri,
        "status_ttl_s": made.status_ttl_s,
        "request_id": made.decision.request_id,
        "entry": made.entry.index,
    }


def _public_jwk(path: Path | None) -> str:
    from gateway.credential.jws import to_jwk

    return "" if path is None else json.dumps(to_jwk(read_holder_key(path).key.public_key()))


def _write(path: Path, text: str) -> None:
    """Write a credential for its holder alone: it holds what the road released."""
    from gateway.identity.keyfiles import PRIVATE_MODE, write_new

    write_new(path, f"{text}\n".encode(), PRIVATE_MODE)


def _verified(found: Verified) -> dict[str, Any]:
    claims = found.claims
    return {
        "verified": True,
        "issuer": claims["iss"],
        "type": claims["vct"],
        "credential": claims.get("jti"),
        "expires": instant(claims["exp"]),
        "status": "not checked" if found.status is None else found.status.name,
        "holder_proved": found.holder_proved,
        "shown": {name: claims[name] for name in found.shown},
    }
