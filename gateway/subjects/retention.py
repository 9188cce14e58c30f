"""How long what opens the log is kept (R83), from the table of the law."""

import datetime as dt
from pathlib import Path

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.tables import read_table
from gateway.domain.errors import InternalError
from gateway.domain.period import SHANGHAI_OFFSET_S, add_months, end_of_day

ACCESS_LOG = "access_log"


def retention_months(record: str = ACCESS_LOG, policies: Path = DEFAULT_POLICIES) -> int:
    """Return for how many months a kind of record is kept.

    Raises:
        InternalError: The table does not say.
    """
    months = read_table(policies / "data", "retention").get(record, {}).get("value")
    if not isinstance(months, int) or months < 1:
        raise InternalError("INTERNAL", "the retention table has no such period")
    return months


def kept_until(time: int, months: int) -> int:
    """Return until when an entry's openings are kept: 24:00 of the same day, months later.

    Args:
        time: Time of the entry, unix seconds.
        months: Months to keep.
    """
    day = dt.datetime.fromtimestamp(time + SHANGHAI_OFFSET_S, dt.UTC).date()
    return end_of_day(add_months(day, months))
