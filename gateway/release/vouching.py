"""Whether the log is vouched for: without its witnesses nothing leaves (fail closed).

The integrator, of this process or of another one, writes the newest checkpoint that the quorum
has cosigned beside the log. The watch reads that file when it changes, so that every process
that serves knows the same.
"""

import contextlib
from pathlib import Path
from typing import Final, Protocol

from audit.errors import NoteError
from audit.note import Verifier
from audit.reader import WITNESSED
from audit.trust_policy import TrustPolicy
from gateway.domain.errors import UnavailableError

DISPUTED: Final = ".state/disputed"


class Vouching(Protocol):
    """Says whether data may leave, as far as the witnesses are concerned."""

    def check(self, now: int) -> None:
        """Raise UnavailableError when the witnesses have been missing for too long."""
        ...


class Unwitnessed:
    """A log whose settings name no witnesses; wherever it is shown, it says so."""

    def check(self, now: int) -> None:
        """Let everything pass."""


class WitnessWatch:
    """Watches how old the word of the quorum is. One event loop uses it.

    Args:
        directory: The log's directory.
        policy: Whose cosignatures count.
        vkey: The log's verifier key.
        grace_s: Seconds that the quorum may be missing.
    """

    def __init__(self, directory: Path, policy: TrustPolicy, vkey: str, grace_s: int) -> None:
        self._file = directory / WITNESSED
        self._dispute = directory / DISPUTED
        self._policy = policy
        self._log = Verifier.parse(vkey)
        self._grace_s = grace_s
        self._stamp = self._look()
        # What an earlier run was told is no proof that this state is the newest: grace begins
        # with the first word of the quorum in this run.
        self._at: int | None = None
        self.overdue = False

    @property
    def disputed(self) -> bool:
        """True while a witness holds another history, whichever process was told so."""
        return self._dispute.exists()

    def dispute(self) -> None:
        """Say to every process that a witness holds another history; it outlives a restart."""
        with contextlib.suppress(OSError):
            self._dispute.touch()

    def settle(self) -> None:
        """Say to every process that the witnesses agree with what was signed."""
        with contextlib.suppress(OSError):
            self._dispute.unlink(missing_ok=True)

    def check(self, now: int) -> None:
        """Check that the quorum has vouched for the log in this run, and not too long ago.

        Raises:
            UnavailableError: `WITNESS_MISSING` or `LOG_DISPUTED`.
        """
        if self.disputed:
            raise UnavailableError(
                "LOG_DISPUTED", "a witness has seen another history of the audit log"
            )
        age = self.age(now)
        if age is None or age > self._grace_s:
            raise UnavailableError(
                "WITNESS_MISSING",
                "the audit log has not been witnessed for too long; nothing leaves",
                hints=() if age is None else (f"witnessed {age} s ago, grace {self._grace_s} s",),
            )

    def age(self, now: int) -> int | None:
        """Tell how many seconds ago the quorum vouched; None when it hasn't in this run."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._read(now)
        return None if self._at is None else max(0, now - self._at)

    def turned(self, now: int, limit_s: int) -> bool:
        """Take note whether the quorum's word is older than it should be; tell a change once.

        Args:
            now: Unix seconds.
            limit_s: Seconds within which its next word is due.
        """
        age = self.age(now)
        before, self.overdue = self.overdue, age is None or age > limit_s
        return self.overdue is not before

    def _look(self) -> tuple[int, int] | None:
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _read(self, now: int) -> None:
        try:
            checkpoint = self._policy.open(self._file.read_bytes(), self._log)
            at = self._policy.quorum_time(checkpoint)
        except (OSError, NoteError):
            at = None
        # A witness whose clock runs ahead must not lengthen the grace.
        self._at = None if at is None else min(at, now)
