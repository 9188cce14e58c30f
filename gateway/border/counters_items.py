"""What an intent and its outcome put into the books of persons counted for export."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.border.counters_law import Ceilings, CountClass
from gateway.domain.errors import UnavailableError

Account = tuple[str, int, str]  # exporter, year, class
Person = tuple[str, int, str, bytes]  # and the tag


class CountMovedError(UnavailableError):
    """`XB_COUNT_MOVED`: others were counted meanwhile; the request has to be decided anew."""

    def __init__(self) -> None:
        """Keep the one reason code."""
        super().__init__(
            "XB_COUNT_MOVED", "the exporter's count changed while this request was decided"
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """Persons to count with an intent.

    Args:
        exporter: Party id of the exporter of record.
        year: The year that counts.
        tags: Class to the tags of the persons who count in it.
        ceilings: How far the decision carries.
        at: Unix seconds.
        node: Name of the node, for alarms.
        party: Party id of the recipient.
    """

    exporter: str
    year: int
    tags: Mapping[CountClass, tuple[bytes, ...]]
    ceilings: Ceilings
    at: int
    node: str
    party: str

    def persons(self) -> Iterable[Person]:
        """Yield every person of every class."""
        for kind, tags in self.tags.items():
            for tag in tags:
                yield (self.exporter, self.year, kind.value, tag)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of the persons that an intent holds.

    Args:
        intent: Log index of the intent.
        reservation: What it reserved.
        sent: False when nothing left.
    """

    intent: int
    reservation: Reservation
    sent: bool


Item = Reservation | Settlement
