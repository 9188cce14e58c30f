"""Renewals: a mechanism whose end comes near raises an alarm, once, in the log and in the list.

CAC Order 16 art. 9: the extension of an assessment is asked for 60 working days before its end.
The same reminder holds for standard contracts and certificates, whose end stops exports as well.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from audit.errors import AuditError
from audit.journal import Transaction
from gateway.border.claims import MechanismClaims
from gateway.border.kept import Kept, every, note_alarm
from gateway.border.law import BorderLaw, day_in_hainan, lawful_border
from gateway.domain.border import Register
from gateway.domain.vocabulary import Status
from gateway.registry.alarms import raise_alarm
from gateway.store.state import State

_log = structlog.get_logger(__name__)
RULE: Final = "R65"
CODE: Final = "MECHANISM_RENEWAL_DUE"
WATCHER: Final = "border-renewals"
_LOOK_EVERY_S: Final = 3_600  # a renewal is due on a day, not at a second


@dataclass(frozen=True, slots=True)
class Renewal:
    """When the renewal of a mechanism is due.

    Args:
        due: Last day on which it is asked for in time, in Asia/Shanghai.
        provisional: True while the holidays of a year in between are not published.
        now_due: True when that day has come and the mechanism's end has not.
        over: True when its term is over.
    """

    due: dt.date
    provisional: bool
    now_due: bool
    over: bool


def renewal_of(claims: MechanismClaims, now: int, law: BorderLaw) -> Renewal:
    """Return when a mechanism's renewal is due, seen from a time in unix seconds."""
    deadline = law.renewal_due(claims.not_after)
    over = claims.not_after <= now
    due = deadline.day <= day_in_hainan(now)
    return Renewal(deadline.day, deadline.provisional, due and not over, over)


def awaiting_renewal(tx: Transaction, now: int, law: BorderLaw) -> list[Kept]:
    """Return the mechanisms whose renewal is due now and has not been registered.

    A later version of the same number that ends later is the renewal.
    """
    found: dict[str, Kept] = {}
    for kept in every(tx, Register.MECHANISM):
        if kept.registered is not None and kept.status is not Status.REVOKED:
            found[kept.claims.name] = kept  # ascending versions: the newest stays
    return [
        kept
        for kept in found.values()
        if isinstance(kept.claims, MechanismClaims) and renewal_of(kept.claims, now, law).now_due
    ]


def remind(tx: Transaction, now: int, node: str, law: BorderLaw) -> list[Kept]:
    """Raise the alarm of every renewal that has become due; return all that are due.

    Exactly one alarm is raised for each version, whoever looks and however often.
    """
    due = awaiting_renewal(tx, now, law)
    return [kept if kept.alarm is not None else _alarmed(tx, kept, now, node) for kept in due]


def _alarmed(tx: Transaction, kept: Kept, now: int, node: str) -> Kept:
    alarm = raise_alarm(
        tx, rule=RULE, code=CODE, now=now, node=node, actor=WATCHER, cause=kept.registered
    )
    return note_alarm(tx, kept, alarm)


class RenewalWatch:
    """Looks for renewals beside a serving gateway; `latest` is None until it has looked once."""

    def __init__(
        self,
        state: State,
        node: str,
        clock: Callable[[], int],
        law: BorderLaw | None = None,
    ) -> None:
        """Take what it looks at.

        Args:
            state: The open state.
            node: Name of this node.
            clock: Gives unix seconds.
            law: The law's numbers, by default those that ship with the policies.
        """
        self._state = state
        self._node = node
        self._law = law or lawful_border()
        self._clock = clock
        self.latest: int | None = None
        self.told: Callable[[bool], Awaitable[None]] | None = None

    async def run(self) -> None:
        """Look for ever; `told` is called with whether no renewal is due."""
        while True:
            try:
                await self.look()
            except AuditError as error:
                _log.error("renewals_not_looked_for", type=type(error).__name__)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> int:
        """Raise what alarms are due; return how many mechanisms await their renewal."""
        now = self._clock()
        due = await self._state.submit(lambda tx: remind(tx, now, self._node, self._law))
        self.latest = len(due)
        if due:
            _log.warning("renewals_due", mechanisms=len(due))
        if self.told is not None:
            await self.told(not due)
        return len(due)
