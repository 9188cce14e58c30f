"""What an answer is handed over in: its parts, and how the last one closes it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.domain.errors import XinguanError
from gateway.release.batches import ReleasedBatch
from gateway.release.evidence import Promised

if TYPE_CHECKING:
    from gateway.release.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Closing:
    """How a delivery ended.

    Args:
        rows: Rows of all batches.
        bytes: Their bytes of Arrow IPC.
        promise: Of the outcome's entry.
        form: The entry of its other form, which `promise` covers; None without one.
    """

    rows: int
    bytes: int
    promise: Promised
    form: Promised | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is handed over at once.

    Args:
        delivery: The delivery that it belongs to: decision, plan, intent.
        first: True in the first part.
        batch: Rows, or None in a part that only closes.
        evidence: The entry of this batch's evidence; None in a small answer.
        closing: The outcome, in the last part.
    """

    delivery: "Delivery"
    first: bool
    batch: ReleasedBatch | None
    evidence: Promised | None
    closing: Closing | None

    def confirm(self) -> None:
        """Look once more whether it may leave; the last thing before the transport has it.

        A door frames a part before it hands it over, and a process may be stopped meanwhile.

        Raises:
            XinguanError: It may leave no more, see `Hold.confirm`.
        """
        hold = self.delivery.hold
        if self.batch is None or hold is None:
            return
        try:
            hold.confirm()
        except XinguanError as refusal:
            refusal.request_id = self.delivery.trail.request_id  # the receipt is found by it
            raise

    def entrust(self) -> None:
        """Hand over the last part by returning it to the transport, instead of asking on.

        It is held until the task that returns it has ended.
        """
        hold = self.delivery.hold
        if self.batch is not None and hold is not None:
            hold.entrust()
