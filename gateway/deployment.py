"""A deployment: where everything of one gateway lies, and how it is made.

    DIR/gateway/                 the gateway's own files, mode 0700
        xinguan.toml             settings, no secrets
        identity/                server key and certificate, trusted client authorities,
                                 public keys of the authority
        keys/                    log signing key and the symmetric keys, each 0600
        state/ log/ snapshots/
    DIR/dev-authority/           `--dev` only, beside the gateway and never inside it: the
                                 authority for certificates and the key that signs licences

In production the second directory does not exist: both keys are kept elsewhere, by other
people, and the gateway holds their public halves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.postgres_address import Address
from gateway.config import CONFIG_NAME, ConfigError, Profile, Settings, read_settings
from gateway.domain.errors import XinguanError
from gateway.identity.keyfiles import (
    parse_document_public_key,
    read_document_key,
    read_private,
    read_secret,
)
from gateway.identity.tls_files import require_authorities, require_pair
from gateway.registry.consents import ConsentKeys
from gateway.registry.documents import key_id
from gateway.store.state import State

GATEWAY_DIRECTORY = "gateway"
DEV_AUTHORITY_DIRECTORY = "dev-authority"
PARTIES_DIRECTORY = "parties"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of a gateway. None of them appears in a representation.

    Args:
        log_key: Signs checkpoints and promises.
        opening_key: Seals openings and documents, 32 bytes.
        index_key: Labels subjects in the sealed index, 32 bytes.
        pseudonym_key: Root of each consumer's pseudonym key, 32 bytes.
        ticket_key: Seals tickets, 32 bytes.
        consent_key: Labels subjects of consents, 32 bytes.
        export_key: Tags persons whose export is counted, 32 bytes.
    """

    log_key: Ed25519PrivateKey = field(repr=False)
    opening_key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)
    pseudonym_key: bytes = field(repr=False)
    ticket_key: bytes = field(repr=False)
    consent_key: bytes = field(repr=False)
    export_key: bytes = field(repr=False)

    @property
    def consents(self) -> ConsentKeys:
        """The keys that consents need."""
        return ConsentKeys(self.consent_key, self.opening_key)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the server's TLS needs, PEM.

    Args:
        key: Its private key.
        certificate: Its certificate, with the chain that clients need.
        client_ca: The authorities whose client certificates are looked at at all.
    """

    key: bytes = field(repr=False)
    certificate: bytes
    client_ca: bytes


@dataclass(frozen=True, slots=True)
class Deployment:
    """An open deployment: its directories and its settings; keys are read when asked for.

    Args:
        root: The directory that `xinguan init` made.
        directory: The gateway's own directory inside it.
        settings: Its settings.
    """

    root: Path
    directory: Path
    settings: Settings

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the deployment in a directory, given its root or the gateway's own directory.

        Raises:
            ConfigError: `NO_CONFIG` when there is none, `BAD_CONFIG` when it is not usable.
        """
        absolute = directory.absolute()
        own = absolute if (absolute / CONFIG_NAME).is_file() else absolute / GATEWAY_DIRECTORY
        settings = read_settings(own / CONFIG_NAME)
        return cls(own.parent, own, settings)

    @property
    def state_path(self) -> Path:
        """The state database on SQLite; the folder of it holds the serving lock in any case."""
        return self.directory / self.settings.files.state

    @property
    def log_directory(self) -> Path:
        """Tiles, bundles and checkpoint of the audit log."""
        return self.directory / self.settings.files.log

    @property
    def snapshots_directory(self) -> Path:
        """Admitted snapshots, a folder per product."""
        return self.directory / self.settings.files.snapshots

    @property
    def border_directory(self) -> Path:
        """The store apart: what may cross, copied and sealed, a folder per product."""
        return self.directory / self.settings.files.border

    @property
    def border_key_path(self) -> Path:
        """The key of the store apart; drawn with the first copy."""
        return self.directory / self.settings.files.border_key

    @property
    def inbox_directory(self) -> Path:
        """Publicity statements handed to a running gateway by the command line."""
        return self.directory / self.settings.files.inbox

    @property
    def dev_authority(self) -> Path:
        """The development authority's directory; only `init --dev` makes it."""
        return self.root / DEV_AUTHORITY_DIRECTORY

    @property
    def parties_directory(self) -> Path:
        """Where keys and certificates made for parties are put, beside the gateway."""
        return self.root / PARTIES_DIRECTORY

    @property
    def log_vkey(self) -> str:
        """The log's public verifier key in the signed-note format.

        Raises:
            ConfigError: `NO_KEY`.
        """
        return self._read(self.settings.files.log_vkey).decode().strip()

    def require_profile(self) -> None:
        """Check that the deployment is what its profile promises; `dev` promises nothing.

        A `standard` gateway holds public halves only (DESIGN.md, keys and duties apart), so the
        private keys of the authorities may not lie beside it; and it names its operator, because
        without one the chain of responsibility is never complete (R80) and nothing would leave.

        Raises:
            ConfigError: `DEV_AUTHORITY` or `NO_OPERATOR`.
        """
        if self.settings.profile is Profile.DEV:
            return
        # A link that leads nowhere counts too: whatever has this name is not for production.
        if self.dev_authority.exists() or self.dev_authority.is_symlink():
            raise ConfigError(
                "DEV_AUTHORITY",
                "the keys of a development authority lie beside a standard gateway",
                hints=(f"take {DEV_AUTHORITY_DIRECTORY} away, or try things out with --dev",),
            )
        if not self.settings.operator.strip():
            raise ConfigError(
                "NO_OPERATOR",
                "operator: a standard gateway names the organisation that runs it",
                hints=(f'write operator = "uscc:..." into {CONFIG_NAME}',),
            )

    def secrets(self) -> Secrets:
        """Read the gateway's keys after checking who may read them.

        Raises:
            KeyFileError: `NO_KEY`, `BAD_FILE_MODE` or `BAD_KEY`, naming the file.
        """
        names = self.settings.files
        return Secrets(
            log_key=read_document_key(self.directory / names.log_key),
            opening_key=read_secret(self.directory / names.opening_key),
            index_key=read_secret(self.directory / names.index_key),
            pseudonym_key=read_secret(self.directory / names.pseudonym_key),
            ticket_key=read_secret(self.directory / names.ticket_key),
            consent_key=read_secret(self.directory / names.consent_key),
            export_key=read_secret(self.directory / names.export_key),
        )

    def tls(self) -> TlsFiles:
        """Read what the server's TLS needs, and check that it belongs together.

        Raises:
            KeyFileError: `NO_KEY`, `BAD_FILE_MODE` or `BAD_KEY` for the private key.
            ConfigError: `NO_KEY` when a certificate is not installed yet.
            CertificateError: `BAD_CERTIFICATE`, naming the file that holds none.
        """
        names = self.settings.files
        files = TlsFiles(
            key=read_private(self.directory / names.server_key),
            certificate=self._read(names.server_certificate),
            client_ca=self._read(names.client_ca),
        )
        key_name, certificate_name = (
            Path(names.server_key).name,
            Path(names.server_certificate).name,
        )
        require_pair(files.key, key_name, files.certificate, certificate_name)
        require_authorities(files.client_ca, Path(names.client_ca).name)
        return files

    def authority_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Return the authority's public keys by key id.

        Raises:
            ConfigError: `BAD_KEY`, naming the file that holds no such key.
        """
        keys = {}
        for path in sorted((self.directory / self.settings.files.authority_keys).glob("*.pem")):
            try:
                key = parse_document_public_key(path.read_bytes())
            except XinguanError as error:
                raise ConfigError("BAD_KEY", f"{path.name}: {error.message}") from None
            keys[key_id(key)] = key
        return keys

    def open_state(self) -> State:
        """Open the state database, whichever the settings name, and bring it up to date.

        Raises:
            AuditUnavailableError: It can't be opened or isn't safe to use.
            KeyFileError: `BAD_FILE_MODE` when others could read its password.
            StateVersionError: a newer version of the program wrote it.
        """
        busy_timeout_ms = self.settings.limits.busy_timeout_ms
        if not self.settings.state.url:
            return State.open(self.state_path, busy_timeout_ms=busy_timeout_ms)
        path = self.directory / self.settings.files.state_password
        # Without a file of ours libpq looks by itself: PGPASSWORD, PGPASSFILE, ~/.pgpass.
        password = read_private(path).decode().strip() if path.exists() else ""
        address = state_address(self.settings, password)
        return State.open_postgres(address, busy_timeout_ms=busy_timeout_ms)

    def _read(self, name: str) -> bytes:
        try:
            return (self.directory / name).read_bytes()
        except OSError:
            raise ConfigError(
                "NO_KEY",
                f"{name} is missing",
                hints=("have server.csr signed, and put certificates where xinguan.toml says",),
            ) from None


def state_address(settings: Settings, password: str) -> Address:
    """Return where the state is on a PostgreSQL server.

    Args:
        settings: They name a server.
        password: Its password; empty leaves it to libpq.
    """
    return Address(settings.state.url, password, settings.state.deadline_ms)
