"""What an intent and its outcome put into the books of persons counted for export."""

from collections.abc import Iterable
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
        persons: Everybody who counts, once in each class.
        ceilings: How far the decision carries.
        at: Unix seconds.
        node: Name of the node, for alarms.
        party: Party id of the recipient.
    """

    exporter: str
    year: int
    persons: tuple[Person, ...]
    ceilings: Ceilings
    at: int
    node: str
    party: str


def persons_of(
    exporter: str, year: int, kinds: Iterable[CountClass], tags: Iterable[bytes]
) -> tuple[Person, ...]:
    """Return persons as a reservation names them.

    Args:
        exporter: Party id of the exporter of record.
        year: The year that counts.
        kinds: In which counts they stand.
        tags: Their distinct tags.
    """
    listed = tuple(tags)
    return tuple((exporter, year, kind.value, tag) for kind in kinds for tag in listed)


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
