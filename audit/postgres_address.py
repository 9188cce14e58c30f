"""Where a state database on PostgreSQL is, and what an address must promise."""

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Final

from audit.errors import AuditUnavailableError

_VERIFIED: Final = frozenset({"verify-ca", "verify-full"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a state database is and how long it may take.

    Args:
        conninfo: A libpq URL or key-value text without a password.
        password: The password; empty leaves it to libpq (`PGPASSWORD`, a password file).
        deadline_ms: How long it may take to connect, and to answer one statement.
    """

    conninfo: str
    password: str = field(default="", repr=False)
    deadline_ms: int = 2_000

    def check(self) -> None:
        """Check that nothing would cross a network unencrypted or to an unverified server.

        Raises:
            AuditUnavailableError: A host is remote and `sslmode` is neither `verify-full` nor
                `verify-ca`, or the text can't be read.
        """
        # The driver takes a tenth of a second to load, which only its users should pay.
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        try:
            given = conninfo_to_dict(self.conninfo)
        except psycopg.Error as error:
            raise AuditUnavailableError("the address of the state database is malformed") from error
        hosts = f"{given.get('hostaddr') or given.get('host') or os.environ.get('PGHOST', '')}"
        mode = str(given.get("sslmode") or os.environ.get("PGSSLMODE", ""))
        if mode not in _VERIFIED and not all(is_local(host) for host in hosts.split(",")):
            raise AuditUnavailableError(
                "a state database on another machine needs sslmode=verify-full"
            )


def is_local(host: str) -> bool:
    """Tell whether a host is a socket's directory, nothing (the default socket), or loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
