"""Rows of a benchmark as people read them: value, target, whether it is met, beside what."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Args:
        name: What was measured.
        value: How much.
        unit: Its unit.
        wanted: The target: `<`, `<=` or `>=` and a number; empty without one.
        beside: Baselines of the same run, and details.
    """

    name: str
    value: float
    unit: str
    wanted: str = ""
    beside: str = ""

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`; empty without a target."""
        if not self.wanted:
            return ""
        relation, number = self.wanted.split()
        target = float(number.replace(",", ""))
        met = {
            "<": self.value < target, "<=": self.value <= target, ">=": self.value >= target,
        }[relation]  # fmt: skip
        return "met" if met else "MISSED"


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows in columns."""
    for row in rows:
        print(
            f"  {row.name:26} {_number(row.value):>10} {row.unit:8} {row.wanted:10}"
            f" {row.verdict:7} {row.beside}".rstrip()
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:,.3g}"
