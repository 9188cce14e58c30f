"""Another form of an answer: made of what the road released, written together with its outcome.

A credential is one. Its entry and its rows stand or fall with the outcome of the answer, in one
transaction, so that it costs no wait of its own, and the log never tells of an answer that left
in a form which came to nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from audit.journal import Posting, Row, Rows
from gateway.release.batches import ReleasedBatch

if TYPE_CHECKING:
    from gateway.release.delivery import Delivery

MOST_TRIES: Final = 8


class FormMovedError(Exception):
    """A form that was right when it was made came too late; it is made anew, see `Form`."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written together with an outcome.

    Args:
        entry: Canonical bytes of the entry that stands behind the outcome.
        rows: Index of that entry to the rows that go with it.
        posting: Looks, alone among all writers, whether it may stand.
    """

    entry: bytes
    rows: Callable[[int], Sequence[Row | Rows]]
    posting: Posting


class Form(Protocol):
    """Makes a form of one answer of one portion; it lives as long as the request."""

    def make(self, delivery: "Delivery", batch: ReleasedBatch) -> Beside | None:
        """Return what goes with the outcome, while the gate holds the batch.

        None where the answer has no such form: its outcome is recorded as it is. Made anew, at
        most `MOST_TRIES` times, when its posting raises `FormMovedError`; any other refusal of
        the posting means that nothing left.
        """
