"""`xinguan party certificate`: issue, sign, pin, replace, revoke."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from audit.journal import Transaction
from gateway.cli.authorities import certificate_authority
from gateway.cli.console import HERE, AsJson, Home, Session, instant, read_bytes, session, show
from gateway.cli.party_name import canonical_id, folder_name
from gateway.cli.written import NewFile, written_for
from gateway.domain.party import Certificate
from gateway.founding import DIRECTORY_MODE, PUBLIC_MODE
from gateway.identity.certificates import PARTY_DAYS, CertificateAuthority, read_request
from gateway.identity.keyfiles import PRIVATE_MODE, new_tls_key, private_pem
from gateway.registry import certificates, parties
from gateway.registry.act import Act

app = typer.Typer(help="Certificates of organisations; licences are not touched by any of this.")

PartyArgument = Annotated[
    str, typer.Argument(help="USCC, or uscc:..., lei:..., reg:CC:...", metavar="PARTY")
]
Ca = Annotated[Path | None, typer.Option("--ca", help="Folder of the authority's ca.key, ca.pem.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for what is made.")]
Days = Annotated[int, typer.Option("--days", min=1, max=825, help="Days of validity.")]
Replacing = Annotated[
    str, typer.Option("--replacing", help="Fingerprint of a certificate revoked by this act.")
]
Fingerprint = Annotated[str, typer.Argument(help="SHA-256 of the public key, hex.")]
# Pins a certificate, PEM, with whatever else has to stand or fall with it.
Pinning: TypeAlias = Callable[[Transaction, bytes], Certificate]


@app.command()
def issue(
    party: PartyArgument,
    out: Out = None,
    ca: Ca = None,
    days: Days = PARTY_DAYS,
    replacing: Replacing = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a key and a certificate for an organisation, and pin it."""
    identity = canonical_id(party)
    with session(home) as opened:
        authority = certificate_authority(opened.deployment, ca, opened.act.now, days)
        opened.run(lambda tx: parties.find(tx, identity))
        pinning = _pinning(opened.act, replacing)
        told = issue_for(opened, authority, identity, days, out, pinning)
    show(told, as_json, title="Certificate issued")


@app.command()
def sign(
    party: PartyArgument,
    csr: Annotated[Path, typer.Argument(help="Its certificate request, PEM.")],
    out: Out = None,
    ca: Ca = None,
    days: Days = PARTY_DAYS,
    replacing: Replacing = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign an organisation's certificate request, and pin the certificate."""
    identity = canonical_id(party)
    request = read_bytes(csr)
    with session(home) as opened:
        authority = certificate_authority(opened.deployment, ca, opened.act.now, days)
        opened.run(lambda tx: parties.find(tx, identity))
        pinning = _pinning(opened.act, replacing)
        told = sign_for(opened, authority, identity, request, days, out, pinning)
    show(told, as_json, title="Certificate signed")


@app.command()
def pin(
    certificate: Annotated[Path, typer.Argument(help="A certificate from your authority, PEM.")],
    replacing: Replacing = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Pin a certificate that another authority issued for a registered organisation."""
    pem = read_bytes(certificate)
    with session(home) as opened:
        pinned = _pin(opened, pem, replacing)
    show(_told(pinned), as_json, title="Certificate pinned")


@app.command()
def replace(
    fingerprint: Fingerprint,
    certificate: Annotated[Path, typer.Argument(help="The new certificate, PEM.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Pin a new certificate and revoke an old one in one act."""
    pem = read_bytes(certificate)
    with session(home) as opened:
        pinned = _pin(opened, pem, fingerprint)
    show(_told(pinned), as_json, title="Certificate replaced")


@app.command()
def revoke(fingerprint: Fingerprint, home: Home = HERE, as_json: AsJson = False) -> None:
    """Refuse a certificate's key from now on, for ever."""
    with session(home) as opened:
        revoked = opened.run(lambda tx: certificates.revoke(tx, fingerprint, opened.act))
    show(_told(revoked), as_json, title="Certificate revoked")


@app.command("list")
def list_certificates(
    party: Annotated[str, typer.Option("--party", help="Only this organisation's.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List pinned certificates."""
    identity = canonical_id(party) if party else ""
    with session(home) as opened:
        found = opened.view().certificates.values()
    rows = [_told(known) for known in found if not identity or known.party_id == identity]
    show(rows, as_json, title="Certificates")


def issue_for(
    opened: Session,
    authority: CertificateAuthority,
    party_id: str,
    days: int,
    out: Path | None,
    pinning: Pinning,
) -> dict[str, Any]:
    """Make a key and a certificate, put both into a folder, and pin the certificate.

    Raises:
        KeyFileError: `FILE_EXISTS` when the folder holds a key already; nothing was pinned.
        XinguanError: As `pinning`; what was written is gone again.
    """
    key = new_tls_key()
    pem = authority.issue_party(party_id, key.public_key(), opened.act.now, days)
    folder = _folder(opened, party_id, out)
    private = NewFile(folder / "client.key", private_pem(key), PRIVATE_MODE)
    return _hand_over(opened, (private, *_public(folder, pem, authority)), pem, pinning)


def sign_for(
    opened: Session,
    authority: CertificateAuthority,
    party_id: str,
    request: bytes,
    days: int,
    out: Path | None,
    pinning: Pinning,
) -> dict[str, Any]:
    """Sign a request, put the certificate into a folder, and pin it.

    Raises:
        CertificateError: `BAD_CSR` or `WEAK_KEY`.
        KeyFileError: `FILE_EXISTS` when the folder holds one already; nothing was pinned.
        XinguanError: As `pinning`; what was written is gone again.
    """
    key = read_request(request)
    pem = authority.issue_party(party_id, key, opened.act.now, days)
    folder = _folder(opened, party_id, out)
    return _hand_over(opened, _public(folder, pem, authority), pem, pinning)


def _public(folder: Path, pem: bytes, authority: CertificateAuthority) -> tuple[NewFile, ...]:
    files = (NewFile(folder / "client.pem", pem, PUBLIC_MODE),)
    if (folder / "ca.pem").exists():
        return files
    return (*files, NewFile(folder / "ca.pem", authority.pem, PUBLIC_MODE))


def _hand_over(
    opened: Session, files: Sequence[NewFile], pem: bytes, pinning: Pinning
) -> dict[str, Any]:
    with written_for(files):
        pinned = opened.run(lambda tx: pinning(tx, pem))
    return {**_told(pinned), "folder": str(files[0].path.parent)}


def _pinning(act: Act, replacing: str) -> Pinning:
    if replacing:
        return lambda tx, pem: certificates.replace(tx, pem, replacing, act)
    return lambda tx, pem: certificates.pin(tx, pem, act)


def _pin(opened: Session, pem: bytes, replacing: str) -> Certificate:
    pinning = _pinning(opened.act, replacing)
    return opened.run(lambda tx: pinning(tx, pem))


def _folder(opened: Session, party_id: str, out: Path | None) -> Path:
    folder = out or opened.deployment.parties_directory / folder_name(party_id)
    folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return folder


def _told(certificate: Certificate) -> dict[str, Any]:
    return {
        "fingerprint": certificate.fingerprint,
        "party": certificate.party_id,
        "valid_from": instant(certificate.not_before),
        "valid_until": instant(certificate.not_after),
        "status": certificate.status.value,
        "entry": certificate.index,
    }
