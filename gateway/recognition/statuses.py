"""Statuses that a partner may ask for: by which field each is told, and which values show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.decision.tables import read_table
from gateway.domain.errors import InvalidRequestError
from gateway.registry.periods import POLICIES


@dataclass(frozen=True, slots=True)
class Status:
    """One status.

    Args:
        status_id: Its id.
        product: The product that tells it.
        field: The field that tells it.
        holds: Values of the field that show it.
        title_zh: What it means, Chinese.
        title_en: What it means, English.
    """

    status_id: str
    product: str
    field: str
    holds: frozenset[str]
    title_zh: str
    title_en: str

    def shown(self, values: Iterable[object]) -> bool:
        """Return whether one of these released values shows it."""
        return any(value in self.holds for value in values)


@lru_cache(maxsize=1)
def statuses() -> Mapping[str, Status]:
    """Return every status by its id, from `policies/data/statuses.json`."""
    found = {}
    for status_id, entry in read_table(POLICIES / "data", "statuses").items():
        holds = entry["holds"]
        if not isinstance(holds, list):
            raise TypeError(f"statuses.{status_id}: a list of values is expected")
        found[status_id] = Status(
            status_id=status_id,
            product=str(entry["product"]),
            field=str(entry["field"]),
            holds=frozenset(map(str, holds)),
            title_zh=str(entry["zh"]),
            title_en=str(entry["en"]),
        )
    return found


def status(status_id: str) -> Status:
    """Return one status.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for an id that the table doesn't have.
    """
    found = statuses().get(status_id)
    if found is None:
        raise InvalidRequestError("BAD_REQUEST", "no such status; see `statuses` of the contract")
    return found
