"""Rows of a benchmark as people read them: value, target, whether it is met, beside what."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Args:
        name: What was measured.
        value: How much.
        relation: `<`, `<=` or `>=`; empty where there is no target.
        target: The target.
        unit: Unit of both.
        beside: Baselines of the same run, and details.
    """

    name: str
    value: float
    relation: str
    target: float
    unit: str
    beside: str

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`; empty without a target."""
        met = {
            "": None,
            "<": self.value < self.target,
            "<=": self.value <= self.target,
            ">=": self.value >= self.target,
        }[self.relation]
        return "" if met is None else "met" if met else "MISSED"


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows in columns."""
    for row in rows:
        wanted = f"{row.relation} {row.target:,g}" if row.relation else ""
        print(
            f"  {row.name:26} {_number(row.value):>10} {row.unit:8} {wanted:10} {row.verdict:7}"
            f" {row.beside}".rstrip()
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:,.3g}"
