"""The port to the copies that requests across the border are answered from (M58)."""

from collections.abc import Collection
from typing import Protocol

from gateway.domain.errors import UnavailableError
from gateway.snapshot.snapshot import Snapshot


class RecordsAbroad(Protocol):
    """What may be read for use abroad; nothing else is. See `gateway.border.store_apart`."""

    def current(self, product: str) -> Snapshot | None:
        """Return the copy that is served now, or None; raise UnavailableError when damaged."""
        ...

    def pinned(self, product: str, snapshot_id: str) -> Snapshot | None:
        """Return one copy by its id, or None; raise UnavailableError when damaged."""
        ...

    def check_fresh(self, snapshot: Snapshot, limit_s: int, now: int) -> None:
        """Raise UnavailableError when a copy is older than its limit or the product's."""
        ...

    def check_holds(
        self, snapshot: Snapshot, columns: Collection[str], tested: Collection[str]
    ) -> None:
        """Raise UnavailableError when a copy may not release columns, or can't test rows by some.

        Args:
            snapshot: The copy.
            columns: Columns of the plan.
            tested: Columns by which the policy withholds rows.
        """
        ...


class NothingAbroad:
    """No copies: whatever crosses the border is refused."""

    def current(self, product: str) -> None:
        """Return None."""

    def pinned(self, product: str, snapshot_id: str) -> None:
        """Return None."""

    def check_fresh(self, snapshot: Snapshot, limit_s: int, now: int) -> None:  # noqa: ARG002
        """Refuse."""
        raise no_copy()

    def check_holds(
        self,
        snapshot: Snapshot,  # noqa: ARG002
        columns: Collection[str],  # noqa: ARG002
        tested: Collection[str],  # noqa: ARG002
    ) -> None:
        """Refuse."""
        raise no_copy()


def no_copy() -> UnavailableError:
    """Return what is refused for want of a copy."""
    return UnavailableError(
        "PRODUCT_UNAVAILABLE", "the product has no copy for use abroad to answer from"
    )
