"""Founding a deployment: every key drawn, every directory made, nothing ever overwritten."""

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit import entries
from audit.journal import Transaction
from audit.note import verifier_key
from gateway.config import CONFIG_NAME, ConfigError, Profile, Settings, parse_settings
from gateway.credential.keyring import new_key
from gateway.deployment import (
    DEV_AUTHORITY_DIRECTORY,
    GATEWAY_DIRECTORY,
    Deployment,
    state_address,
)
from gateway.domain.vocabulary import Status
from gateway.identity.certificates import PARTY_DAYS, CertificateAuthority, make_request
from gateway.identity.keyfiles import (
    PRIVATE_MODE,
    new_document_key,
    new_secret,
    new_tls_key,
    parse_document_public_key,
    public_pem,
    read_tls_key,
    write_new,
    write_private_key,
)
from gateway.identity.tls_files import require_authorities
from gateway.registry.act import CONSOLE
from gateway.registry.documents import key_id
from gateway.store.state import State

PUBLIC_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o700
CA_KEY: Final = "ca.key"
CA_CERTIFICATE: Final = "ca.pem"
AUTHORITY_KEY: Final = "authority.key"
AUTHORITY_PUBLIC_KEY: Final = "authority.pub.pem"
_WARNING: Final = """\
These keys are for development only. Whoever holds them can admit any organisation and grant
any licence. In production the authority for certificates and the authority that signs licences
keep their keys elsewhere, and this directory does not exist.
"""


@dataclass(frozen=True, slots=True)
class Founding:
    """What is wanted of a new deployment.

    Args:
        dev: Whether a development authority is made beside the gateway.
        authority_pem: The authority's Ed25519 public key, PEM; empty only with `dev`.
        client_ca_pem: Authorities of client certificates, PEM; may be empty, to be put later.
        node: Name of the node.
        origin: Name of the audit log.
        operator: Party id of the organisation that runs it, or empty.
        listen: HOST:PORT.
        server_names: Host names and addresses that clients will use.
        state_url: A PostgreSQL database for the state, empty for a SQLite file.
        state_password: Its password, kept in a private file; empty leaves it to libpq.
    """

    dev: bool
    authority_pem: bytes
    client_ca_pem: bytes
    node: str
    origin: str
    operator: str
    listen: str
    server_names: tuple[str, ...]
    state_url: str = ""
    state_password: str = field(default="", repr=False)


def found(root: Path, wanted: Founding, now: int) -> Deployment:
    """Make a deployment in an empty or missing directory.

    Args:
        root: The directory; it gets `gateway/` and, with `dev`, `dev-authority/`.
        wanted: What is wanted.
        now: Unix seconds, the start of certificates.

    Raises:
        ConfigError: `NOT_EMPTY` when something is there already, in the directory or in the
            database, `NO_AUTHORITY` when no authority's key is given, `BAD_CONFIG` for a value
            out of its range, and for authorities of client certificates with `dev`.
        AuditUnavailableError: The database can't be opened or isn't safe to use.
        KeyFileError: `BAD_KEY` when the authority's key is no Ed25519 public key.
        CertificateError: `BAD_CERTIFICATE` for authorities of client certificates that are none.
    """
    if wanted.dev == bool(wanted.authority_pem):
        raise ConfigError(
            "NO_AUTHORITY",
            "a deployment takes the authority's public key, or makes one of its own with --dev",
            hints=("give one of: --authority PUBKEY, --dev",),
        )
    if wanted.dev and wanted.client_ca_pem:
        raise ConfigError(
            "BAD_CONFIG",
            "a development deployment makes the authority of client certificates itself",
            hints=("leave out --client-ca, or --dev",),
        )
    if wanted.client_ca_pem:
        require_authorities(wanted.client_ca_pem, "the file of client authorities")
    authority = parse_document_public_key(wanted.authority_pem) if not wanted.dev else None
    text = config_text(wanted)
    settings = parse_settings(text)
    if settings.state.url:
        _require_unused(settings, wanted.state_password)
    own = _make_directories(root, settings)
    write_new(own / CONFIG_NAME, text.encode(), PUBLIC_MODE)
    log_key = _write_keys(own, settings, wanted)
    if authority is None:
        authority = _make_dev_authority(root, own, settings, now)
    elif wanted.client_ca_pem:
        write_new(own / settings.files.client_ca, wanted.client_ca_pem, PUBLIC_MODE)
    identity = key_id(authority)
    trusted = own / settings.files.authority_keys / f"{identity}.pem"
    write_new(trusted, public_pem(authority), PUBLIC_MODE)
    deployment = Deployment.open(root)
    _open_log(deployment, log_key, identity, now)
    return deployment


def config_text(wanted: Founding) -> str:
    """Return the text of `xinguan.toml`; limits stand at their defaults and are not repeated."""
    names = ", ".join(_quoted(name) for name in wanted.server_names)
    profile = Profile.DEV if wanted.dev else Profile.STANDARD
    return f"""\
# Settings of one Xinguan gateway. Unknown keys are refused; secrets never stand here.
profile = {_quoted(profile.value)}
node = {_quoted(wanted.node)}
operator = {_quoted(wanted.operator)}

[server]
listen = {_quoted(wanted.listen)}
server_names = [{names}]

[log]
origin = {_quoted(wanted.origin)}
{_state_table(wanted.state_url)}
# Every limit has a default; write only those that differ, for example:
# [limits]
# max_batch_subjects = 10000
# policy_deadline_ms = 200
# rows_per_day = 10000000

# Credentials for partners across the border, see docs/cross-border-credential.md:
# [credentials]
# issuer = "https://credentials.example.org"

# Switches of the policy, see `xinguan policy`:
# [switches]
# border_bulk = false
"""


def _state_table(url: str) -> str:
    """Return the table of the state, or nothing for the SQLite file."""
    return f"\n[state]\nurl = {_quoted(url)}\n" if url else ""


def _require_unused(settings: Settings, password: str) -> None:
    """Check that a database is there and has no log in it, before anything is made.

    Raises:
        ConfigError: `NOT_EMPTY`.
        AuditUnavailableError: It can't be opened.
    """
    state = State.open_postgres(state_address(settings, password))
    try:
        with closing(state.connect()) as reader:
            used = reader.next_index() > 0
    finally:
        state.close()
    if used:
        raise ConfigError(
            "NOT_EMPTY",
            "the database holds the state of a deployment already; it stays as it is",
            hints=(
                "a replica is a copy of that deployment's directory, with a node name of its own",
            ),
        )


def _quoted(text: str) -> str:
    """Return a TOML basic string; JSON's escapes are TOML's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _make_directories(root: Path, settings: Settings) -> Path:
    try:
        root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        occupied = any(root.iterdir())
    except OSError:
        raise ConfigError("NOT_EMPTY", "the directory can't be made or isn't one") from None
    if occupied:
        raise ConfigError(
            "NOT_EMPTY",
            "the directory holds something already; it stays as it is",
            hints=("name a new or an empty directory",),
        )
    own = root / GATEWAY_DIRECTORY
    own.mkdir(mode=DIRECTORY_MODE)
    names = settings.files
    files = (names.state, names.server_key, names.log_key)
    folders = (names.log, names.snapshots, names.authority_keys)
    for folder in (*(str(Path(name).parent) for name in files), *folders):
        (own / folder).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return own


def _write_keys(own: Path, settings: Settings, wanted: Founding) -> Ed25519PrivateKey:
    names = settings.files
    server_key = new_tls_key()
    write_private_key(own / names.server_key, server_key)
    request = make_request(server_key, wanted.server_names[0])
    write_new(own / names.server_csr, request, PUBLIC_MODE)
    log_key = new_document_key()
    write_private_key(own / names.log_key, log_key)
    vkey = verifier_key(settings.log.origin, log_key.public_key())
    write_new(own / names.log_vkey, f"{vkey}\n".encode(), PUBLIC_MODE)
    for name in (
        names.opening_key,
        names.index_key,
        names.consent_key,
        names.pseudonym_key,
        names.ticket_key,
        names.export_key,
    ):
        write_new(own / name, new_secret(), PRIVATE_MODE)
    new_key(own / names.credential_keys)
    if wanted.state_password:
        write_new(own / names.state_password, wanted.state_password.encode(), PRIVATE_MODE)
    return log_key


def _make_dev_authority(root: Path, own: Path, settings: Settings, now: int) -> Ed25519PublicKey:
    """Make both development authorities and let them sign the server's certificate."""
    beside = root / DEV_AUTHORITY_DIRECTORY
    beside.mkdir(mode=DIRECTORY_MODE)
    write_new(beside / "README.txt", _WARNING.encode(), PUBLIC_MODE)
    ca_key = new_tls_key()
    write_private_key(beside / CA_KEY, ca_key)
    authority = CertificateAuthority.create(ca_key, "Xinguan development authority", now)
    write_new(beside / CA_CERTIFICATE, authority.pem, PUBLIC_MODE)
    signing_key = new_document_key()
    write_private_key(beside / AUTHORITY_KEY, signing_key)
    public_key = signing_key.public_key()
    write_new(beside / AUTHORITY_PUBLIC_KEY, public_pem(public_key), PUBLIC_MODE)
    names = settings.files
    server_key = read_tls_key(own / names.server_key).public_key()
    certificate = authority.issue_server(settings.server.server_names, server_key, now, PARTY_DAYS)
    write_new(own / names.server_certificate, certificate, PUBLIC_MODE)
    write_new(own / names.client_ca, authority.pem, PUBLIC_MODE)
    return public_key


def _open_log(deployment: Deployment, log_key: Ed25519PrivateKey, authority: str, now: int) -> None:
    """Make the state database; its first entry says which log this is and whom it trusts."""
    settings = deployment.settings
    state = deployment.open_state()
    try:
        state.run(lambda tx: _append_opening(tx, settings, log_key, authority, now))
    finally:
        state.close()
    if not settings.state.url:
        deployment.state_path.chmod(PRIVATE_MODE)


def _append_opening(
    tx: Transaction,
    settings: Settings,
    log_key: Ed25519PrivateKey,
    authority: str,
    now: int,
) -> None:
    vkey = verifier_key(settings.log.origin, log_key.public_key())
    tx.append(
        entries.log_opened(time=now, node=settings.node, origin=settings.log.origin, vkey=vkey)
    )
    tx.append(
        entries.key_changed(
            time=now,
            node=settings.node,
            actor=CONSOLE,
            party=settings.operator,
            purpose="authority",
            key=authority,
            status=Status.ACTIVE.value,
        )
    )
