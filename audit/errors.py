"""What can go wrong in the log, as one tree.

    AuditError
    |-- AuditUnavailableError   nothing can be appended or published now; nothing was acknowledged
    |   |-- StoreFailedError    the state database failed: it is away, full, locked or damaged
    |   |   `-- CommitFailedError the commit failed, and nobody can know what is on the disk
    |   |-- LeaseHeldError      another integrator holds the lease
    |   `-- LeaseLostError      this integrator was replaced while it slept
    |-- StatementError          the state database refused a statement: a constraint, a mistake
    |-- EntryError              an entry that cannot be written in canonical form
    |-- ProofError              a Merkle proof, a promise or a receipt that does not hold
    |-- NoteError               a signed note, a key or a checkpoint that is malformed or unsigned
    |-- PolicyError             a trust policy that is malformed
    |-- LogMismatchError        directory and database tell different histories: nobody signs on
    |   `-- ForkClaimedError    a witness holds another history of this log than this node
    `-- LogCorruptError         bytes on the disk do not hash to what was signed

Messages hold no values of entries, no paths and no SQL.
"""


class AuditError(Exception):
    """The root of every error of this package."""


class AuditUnavailableError(AuditError):
    """The log cannot take entries or publish now; the job's effects were not acknowledged."""


class StoreFailedError(AuditUnavailableError):
    """The state database failed: nothing that was under way can be trusted to have happened."""


class CommitFailedError(StoreFailedError):
    """The commit itself failed: whether the group is on the disk is unknown until reopening."""


class StatementError(AuditError):
    """The state database refused one statement, by a constraint or because it is wrong."""


class LeaseHeldError(AuditUnavailableError):
    """Another integrator holds an unexpired lease."""


class LeaseLostError(AuditUnavailableError):
    """The lease went to another integrator; what was prepared here is not published."""


class EntryError(AuditError, ValueError):
    """The entry has no canonical form or is too large."""


class ProofError(AuditError, ValueError):
    """The proof does not show what it should show."""


class NoteError(AuditError, ValueError):
    """The note, key or checkpoint is malformed, or no trusted key signed it."""


class LogMismatchError(AuditError):
    """The directory and the database disagree on what was signed."""


class ForkClaimedError(LogMismatchError):
    """A witness has seen what this node's history does not contain; nobody signs on."""


class PolicyError(AuditError, ValueError):
    """The trust policy is malformed; the message names the line, never its words."""


class LogCorruptError(AuditError):
    """Stored bytes do not hash to what the log signed.

    Args:
        message: What was found, without values.
        index: First entry that is affected, or None where no single entry can be named.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message if index is None else f"entry {index}: {message}")
        self.index = index
