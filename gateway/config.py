"""The deployment's settings: one frozen tree, read once from `xinguan.toml`.

Every limit has a default and its unit in its name. The file holds no secrets, only the names
of files inside the deployment. A key that is not named here is refused by its name, because a
misspelt limit that is silently ignored is no limit.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gateway.credential_settings import CredentialSettings
from gateway.domain.errors import XinguanError
from gateway.server_name import ServerName
from gateway.source_settings import SourceName, SourceSettings

CONFIG_NAME = "xinguan.toml"
_SWITCH_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")
_GREATEST_PORT = 65_535
# What an address of the state may state beside user, host, port and database.
_STATE_PARAMETERS = frozenset(
    {"host", "hostaddr", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"}
    | {"sslcrl", "passfile", "channel_binding", "require_auth", "ssl_min_protocol_version"}
)


class ConfigError(XinguanError):
    """The deployment's settings or files are not usable; the message names the key to mend."""

    grpc_code = "FAILED_PRECONDITION"


class Profile(StrEnum):
    """Which safeguards are enforced (DESIGN.md, deployment profiles).

    `STANDARD` refuses to start beside a development authority and without an operator;
    `DEV` allows both (`Deployment.require_profile`).
    """

    DEV = "dev"
    STANDARD = "standard"


def _inside_deployment(text: str) -> str:
    """Refuse names that lead out of the deployment's directory."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise ValueError("must be a file name inside the deployment, relative to it")
    return text


def _address(text: str) -> str:
    """Refuse what is not HOST:PORT."""
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > _GREATEST_PORT:
        raise ValueError("must be HOST:PORT with a port of 0 to 65535")
    if bracketed:
        ipaddress.IPv6Address(host[1:-1])
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError("must be HOST:PORT; an IPv6 address stands in brackets")
    return text


def _state_url(text: str) -> str:
    """Refuse what is no PostgreSQL address or holds a password: this file is no secret."""
    if not text:
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("must be empty, or postgresql://USER@HOST/DATABASE")
    # `://user:@host` has a password that is empty; only one with characters is a secret.
    named = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.password or not named <= _STATE_PARAMETERS:
        known = ", ".join(sorted(_STATE_PARAMETERS))
        raise ValueError(f"holds no password (that is in a file of its own), and only: {known}")
    return text


FileName = Annotated[str, AfterValidator(_inside_deployment)]
StateUrl = Annotated[str, AfterValidator(_state_url)]
Address = Annotated[str, AfterValidator(_address)]
OptionalFileName = Annotated[str, AfterValidator(lambda text: text and _inside_deployment(text))]
OptionalAddress = Annotated[str, AfterValidator(lambda text: text and _address(text))]
NodeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")]


class _Table(BaseModel):
    """A table of the settings: frozen, and nothing in it that is not named."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Server(_Table):
    """Where the gateway listens and what its certificate answers for."""

    listen: Address = "127.0.0.1:8443"
    server_names: list[ServerName] = Field(default=["localhost", "127.0.0.1"], min_length=1)
    opa_url: str = ""  # empty: the embedded policy engine
    workers: int = Field(default=1, ge=1, le=64)  # processes that share the port


class Replicas(_Table):
    """What holds between the processes that serve one state (docs/replicas.md)."""

    # Without a renewal for so long a process releases nothing; a repair waits so long for it.
    lease_ms: int = Field(default=2_000, ge=200, le=60_000)
    # Instead of limits.gate_wait_ms while several processes serve, when it is shorter.
    gate_wait_ms: int = Field(default=400, ge=1, le=60_000)


class Limits(_Table):
    """Every limit of the node, with its unit in its name."""

    max_batch_subjects: int = Field(default=10_000, ge=1, le=10_000)
    max_request_bytes: int = Field(default=4 << 20, ge=1 << 10)
    max_sql_bytes: int = Field(default=64 << 10, ge=256, le=1 << 20)
    policy_deadline_ms: int = Field(default=200, ge=1, le=60_000)
    gate_wait_ms: int = Field(default=2_000, ge=1, le=60_000)
    clock_skew_s: int = Field(default=300, ge=0, le=3_600)
    idempotency_window_s: int = Field(default=86_400, ge=600)
    checkpoint_interval_ms: int = Field(default=500, ge=10, le=60_000)
    index_interval_s: int = Field(default=60, ge=1, le=86_400)  # age of an access without a root
    reconcile_interval_s: int = Field(default=300, ge=5, le=86_400)
    open_intent_grace_s: int = Field(default=900, ge=1, le=86_400)
    ticket_lifetime_s: int = Field(default=3_600, ge=1, le=86_400)
    batch_bytes: int = Field(default=8 << 20, ge=64 << 10, le=64 << 20)  # of a streamed batch
    portfolio_subjects: int = Field(default=1_000_000, ge=1, le=1_000_000)
    portfolio_bytes: int = Field(default=64 << 20, ge=1 << 10, le=256 << 20)  # of one upload
    portfolio_lifetime_s: int = Field(default=86_400, ge=1, le=2_592_000)
    portfolio_entries: int = Field(default=16, ge=1, le=1_000)  # of one party at once
    upload_deadline_s: int = Field(default=120, ge=1, le=3_600)  # from its first byte to its last
    stop_grace_s: int = Field(default=10, ge=0, le=600)
    busy_timeout_ms: int = Field(default=5_000, ge=1)
    feed_lease_s: int = Field(default=15, ge=2, le=600)  # one process at a time reads a feed
    # A statement that would withhold more than this share suspends the product by name instead.
    reconcile_withheld_ppm: int = Field(default=100_000, ge=0, le=1_000_000)
    border_copy_age_s: int = Field(default=600, ge=10, le=86_400)  # then nothing crosses
    border_check_interval_s: int = Field(default=60, ge=1, le=3_600)  # copies against records
    clock_step_ms: int = Field(default=5_000, ge=100, le=300_000)  # wall against steady clock
    health_interval_ms: int = Field(default=500, ge=10, le=60_000)
    calls_per_second: int = Field(default=200, ge=1)  # per licence, where it states none
    rows_per_day: int = Field(default=10_000_000, ge=1)  # per licence, where it states none
    # No rule says in how many days a receiver acknowledges a recall (R28); these are proposals,
    # for the operator to settle with its receivers.
    recall_due_s: int = Field(default=259_200, ge=60)
    recall_proposal_wait_s: int = Field(default=259_200, ge=0)  # from a missed deadline on
    recall_probe_timeout_ms: int = Field(default=5_000, ge=100, le=60_000)
    recall_probe_bytes: int = Field(default=64 << 10, ge=1 << 10, le=1 << 20)
    # How long an issued report can be confirmed as valid, unless what it shows changes before.
    report_validity_s: int = Field(default=2_592_000, ge=60, le=31_622_400)
    # A decision's input has to be found when its intent is written, so a cache smaller than the
    # calls that are under way at once would refuse some of them.
    decision_cache_entries: int = Field(default=8_192, ge=256)


class StateSettings(_Table):
    """Which database holds the state and the log's sequence."""

    # Empty: the SQLite file of this deployment. Otherwise postgresql://USER@HOST/DATABASE, for
    # several replicas; its password lies in `files.state_password` or where libpq looks for it.
    url: StateUrl = ""
    # How long it may take to connect, and to answer one statement. For a lock that another
    # process holds, `limits.busy_timeout_ms` comes on top.
    deadline_ms: int = Field(default=2_000, ge=100, le=60_000)


class Files(_Table):
    """Names of the deployment's files, relative to its directory."""

    state: FileName = "state/state.sqlite3"
    state_password: FileName = "keys/state.password"  # noqa: S105 - a file's name
    log: FileName = "log"
    snapshots: FileName = "snapshots"
    # The store apart (docs/cross-border-sealed.md); its key lies with no other.
    border: FileName = "border"
    border_key: FileName = "border-keys/store.key"
    inbox: FileName = "inbox"  # publicity statements handed in by `xinguan reconcile`
    server_key: FileName = "identity/server.key"
    server_csr: FileName = "identity/server.csr"
    server_certificate: FileName = "identity/server.pem"
    client_ca: FileName = "identity/client-ca.pem"
    authority_keys: FileName = "identity/authority"
    log_key: FileName = "keys/log.key"
    log_vkey: FileName = "keys/log.vkey"
    opening_key: FileName = "keys/opening.key"
    index_key: FileName = "keys/index.key"
    consent_key: FileName = "keys/consent.key"
    pseudonym_key: FileName = "keys/pseudonym.key"
    ticket_key: FileName = "keys/ticket.key"
    export_key: FileName = "keys/export.key"  # tells persons apart whose export is counted
    notice_key: FileName = "keys/notice.key"  # drawn at the first start
    credential_keys: FileName = "keys/credential"  # a folder: the greatest number signs
    credentials: FileName = "credentials"  # what an issuer publishes, for any static server
    mark_key: FileName = "keys/mark.key"  # likewise; of marks in what crosses the border


class Log(_Table):
    """The audit log's name, and where it can be read over HTTP while the gateway serves."""

    origin: str = Field(default="xinguan.example/log", pattern=r"^[A-Za-z0-9][A-Za-z0-9./_\-]*$")
    http_listen: OptionalAddress = ""  # tiles and checkpoints; empty: not served
    https_listen: OptionalAddress = ""  # the same, and entries to auditors with a certificate


class Witnesses(_Table):
    """Who has to vouch for the log, and for how long they may be out of reach."""

    policy: OptionalFileName = ""  # C2SP tlog-policy; empty: an unwitnessed log
    grace_s: int = Field(default=600, ge=1, le=86_400)
    timeout_ms: int = Field(default=1_000, ge=10, le=5_000)
    refresh_s: int = Field(default=60, ge=1, le=3_600)


class Border(_Table):
    """What crosses the border, and how the persons in it are counted."""

    # How persons are told apart. Chosen once: another algorithm would count everybody anew.
    count_tags: Literal["hmac-sha256", "hmac-sm3"] = "hmac-sha256"


class Timestamps(_Table):
    """Who stamps checkpoints with the time (RFC 3161)."""

    url: str = ""  # empty: nobody
    certificates: OptionalFileName = ""  # PEM of the authority with its root
    interval_s: int = Field(default=3_600, ge=1, le=86_400)


class FeedKind(StrEnum):
    """Where changes of shareability come from."""

    FILE = "file"  # signed decisions, one JSON object a line
    TABLE = "table"  # signed decisions in a change table of PostgreSQL
    PUBLICITY = "publicity"  # a folder of signed publicity statements, to be compared (R11)


class Feed(_Table):
    """One feed. Where a database is and how to log in stands in a file or the environment."""

    kind: FeedKind = Field(strict=False)
    path: str = ""  # file or publicity: absolute, or relative to the gateway's directory
    dsn_file: str = ""  # table: file with the connection string, mode 0600
    dsn_env: str = Field(default="", pattern=r"^([A-Z_][A-Z0-9_]*)?$")  # or the variable with it
    table: str = Field(
        default="repair_changes", pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$"
    )
    poll_ms: int = Field(default=500, ge=10, le=3_600_000)
    page_items: int = Field(default=500, ge=1, le=10_000)
    timeout_ms: int = Field(default=5_000, ge=100, le=60_000)  # table: of one statement

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a feed that doesn't say where it is, or says it twice."""
        if self.kind is FeedKind.TABLE:
            if self.path or bool(self.dsn_file) == bool(self.dsn_env):
                raise ValueError("a table is reached by dsn_file or by dsn_env, and has no path")
        elif not self.path or self.dsn_file or self.dsn_env:
            raise ValueError("it has a path, and nothing of a database")
        return self


FeedName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_\-]{0,31}$")]


class Settings(_Table):
    """All settings of one deployment."""

    profile: Profile = Field(default=Profile.STANDARD, strict=False)
    node: NodeName = "node-1"
    operator: str = ""  # party id of the organisation that runs the gateway
    server: Server = Server()
    replicas: Replicas = Replicas()
    limits: Limits = Limits()
    log: Log = Log()
    witnesses: Witnesses = Witnesses()
    timestamps: Timestamps = Timestamps()
    credentials: CredentialSettings = CredentialSettings()
    border: Border = Border()
    files: Files = Files()
    state: StateSettings = StateSettings()
    switches: dict[str, bool | int] = Field(default_factory=dict)
    feeds: dict[FeedName, Feed] = Field(default_factory=dict)
    sources: dict[SourceName, SourceSettings] = Field(default_factory=dict)

    def refuse_unknown_switches(self, known: Collection[str]) -> None:
        """Refuse a deployment switch that no rule reads.

        Args:
            known: Names that the policy's tables know.

        Raises:
            ConfigError: `BAD_CONFIG`, naming the switch.
        """
        for name in self.switches:
            if name not in known:
                raise ConfigError("BAD_CONFIG", _unknown("switches", name, known))


def parse_settings(text: str) -> Settings:
    """Return the settings written in a TOML text.

    Raises:
        ConfigError: `BAD_CONFIG`, naming the key, when the text is not TOML, a key is
            unknown or a value is out of its range.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("BAD_CONFIG", f"{CONFIG_NAME} is not valid TOML: {error}") from None
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigError("BAD_CONFIG", _explain(error)) from None
    for name in settings.switches:
        if not _SWITCH_NAME.fullmatch(name):
            raise ConfigError("BAD_CONFIG", f"{CONFIG_NAME}: switches: a name is lower_snake_case")
    return settings


def read_settings(path: Path) -> Settings:
    """Return the settings in a file.

    Raises:
        ConfigError: `NO_CONFIG` when it can't be read, `BAD_CONFIG` as `parse_settings`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "NO_CONFIG",
            f"{CONFIG_NAME} is not here or can't be read",
            hints=("make a deployment with: xinguan init DIR",),
        ) from None
    return parse_settings(text)


def _explain(error: ValidationError) -> str:
    """Return one line per fault, naming the key, never its value."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        location = [str(part) for part in fault["loc"]]
        if fault["type"] == "extra_forbidden":
            lines.append(_unknown(".".join(location[:-1]), location[-1], _keys(location[:-1])))
        else:
            lines.append(f"{CONFIG_NAME}: {'.'.join(location)}: {fault['msg']}")
    return "; ".join(lines)


def _keys(location: list[str]) -> Collection[str]:
    """Return the keys that are known at a place of the tree."""
    model: type[BaseModel] = Settings
    for part in location:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return tuple(model.model_fields)


def _unknown(table: str, key: str, known: Collection[str]) -> str:
    """Return the text for an unknown key, with the nearest known one."""
    name = f"{table}.{key}" if table else key
    near = difflib.get_close_matches(key, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{CONFIG_NAME}: unknown key {name}{meant}"
