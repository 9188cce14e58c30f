"""The exporter's persons of this year: the one seam between the registers and the counters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Standing:
    """How many persons an exporter has supplied abroad this year, a request's included.

    Args:
        persons: Distinct persons, ordinary personal information.
        sensitive_persons: Distinct persons, sensitive personal information.
        index: Log index that the counts rest on; -1 when they rest on nothing yet.
    """

    persons: int
    sensitive_persons: int
    index: int


class ExportCounts(Protocol):
    """Counts persons per exporter and year of Asia/Shanghai; see CAC Order 16 arts 5, 7, 8.

    `standing` is asked before every decision about personal information across the border. It
    reads and reserves nothing: what is sent is reserved with the intent. A person who was
    counted before is not counted again, so it is exact for this request's persons. It may be
    called by the event loop, from one thread, and answers without waiting for others.
    """

    def standing(
        self, exporter: str, year: int, subjects: Sequence[str], *, sensitive: bool
    ) -> Standing:
        """Return the exporter's counts with this request's persons in the one or the other.

        Args:
            exporter: Party id of the exporter of record.
            year: Year in Asia/Shanghai.
            subjects: Identifiers asked about; they are counted, never kept or logged.
            sensitive: True when the request is of sensitive personal information.
        """
        ...


class ThisRequestOnly:
    """Counts nothing but the request at hand: what holds while no counters are connected."""

    def standing(
        self,
        exporter: str,  # noqa: ARG002 - the port's signature
        year: int,  # noqa: ARG002 - the port's signature
        subjects: Sequence[str],
        *,
        sensitive: bool,
    ) -> Standing:
        """Return this request's distinct persons, in the one kind or the other."""
        persons = len(set(subjects))
        return Standing(0, persons, -1) if sensitive else Standing(persons, 0, -1)
