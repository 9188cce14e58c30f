"""Asking again whether a kept document holds: what its issuer's registration and list say now."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.inbound import records
from gateway.inbound.checking import Checker, Status
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.records import State, Stored
from gateway.inbound.status import Standing
from gateway.repair.decision import Verdict
from gateway.store.migration import Statements


class Found(StrEnum):
    """What came of asking again."""

    CONFIRMED = "CONFIRMED"
    HELD = "HELD"
    WITHDRAWN = "WITHDRAWN"
    STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found of one document, and what follows.

    Args:
        found: What was found.
        verdict: What has to be published, or None.
        ground: What it follows from.
        status: What the list says, when there is a fresh one.
    """

    found: Found
    verdict: Verdict | None = None
    ground: str = ""
    status: Status | None = None


def ask_again(state: Statements, checker: Checker, stored: Stored, now: int) -> Answer:
    """Check a kept document as it lies.

    Args:
        state: Reads which lists were seen.
        checker: The check of admission.
        stored: The document.
        now: Unix seconds.
    """
    try:
        checked = checker.document(stored.document, now, kept=True)
    except ForeignDocumentError as error:
        registration = checker.register(stored.issuer)
        lapsed = registration is not None and registration.withdrawn_at is None
        if error.code == "FOREIGN_ISSUER" and lapsed:
            # The agreement's term is over: the decision withholds it until there is a new one.
            return Answer(Found.STALE)
        # Its issuer was withdrawn, its key or its kind taken out, its own term is over.
        return Answer(Found.WITHDRAWN, Verdict.WITHDRAWN, error.code)
    try:
        status = checker.status(checked, now)
        records.check_newest_list(state, status.source)
    except ForeignDocumentError:
        # Nothing is known now, and that ends nothing: the record leaves no more once it isn't
        # fresh. A forged list says nothing either: whoever sent it must not end a record by it.
        return Answer(Found.HELD if stored.state is State.HELD else Found.STALE)
    ground = status.source.digest.hex()
    if status.standing is Standing.VALID:
        released = Verdict.RELEASE if stored.state is State.HELD else None
        return Answer(Found.CONFIRMED, released, ground, status)
    if status.standing is Standing.SUSPENDED:
        hold = Verdict.HOLD if stored.state is State.ACTIVE else None
        return Answer(Found.HELD, hold, ground, status)
    return Answer(Found.WITHDRAWN, Verdict.WITHDRAWN, ground, status)
