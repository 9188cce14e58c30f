"""What can go wrong with snapshots, in the gateway's one tree of errors."""

from gateway.domain.errors import UnavailableError


class AdmissionError(UnavailableError):
    """The source's rows can't be admitted; nothing of them was kept."""


class SchemaDriftError(AdmissionError):
    """The source no longer has the contract's schema; the hints name each difference."""


class SnapshotDamagedError(UnavailableError):
    """A snapshot's files are not the ones its manifest was made for."""
