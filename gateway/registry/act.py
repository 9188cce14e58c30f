"""One administrative act: when, on which node, by whom, why; and the version that it raises."""

import re
from dataclasses import dataclass

from gateway.domain.errors import InvalidRequestError
from gateway.store.migration import Statements

CONSOLE = "console"
_LONGEST_REASON = 200
# Codes of organisations and persons, LEIs and telephone numbers: a run of eleven or more.
_NAMES_SOMEBODY = re.compile(r"[0-9A-Za-z]*\d[0-9A-Za-z]{10,}|[0-9A-Za-z]{10,}\d[0-9A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Act:
    """The circumstances of an act, the same for every kind of it.

    Args:
        now: Unix seconds.
        node: The node on which it is done.
        actor: Party id of the administrator who calls, or `console` for the command line on
            the node itself, where the operating system's account answers for it.
        reason: Why, as stated (`stated_reason`); empty when nothing was.
    """

    now: int
    node: str
    actor: str = CONSOLE
    reason: str = ""


def stated_reason(text: str) -> str:
    """Return a reason as it may stand in the log, which never forgets.

    Args:
        text: What the administrator wrote.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is longer than 200 characters, holds control
            characters, or something that could be a code of a person or an organisation.
    """
    stated = text.strip()
    if len(stated) > _LONGEST_REASON or not (stated.isprintable() or not stated):
        raise InvalidRequestError("BAD_REQUEST", "a reason has one line of up to 200 characters")
    if _NAMES_SOMEBODY.search(stated):
        raise InvalidRequestError(
            "BAD_REQUEST",
            "a reason stands in the log for ever and names nobody by a code or number",
        )
    return stated


def required_reason(text: str) -> str:
    """Return a reason that has to be there, as `stated_reason`.

    Raises:
        InvalidRequestError: `BAD_REQUEST`, also when it is empty.
    """
    stated = stated_reason(text)
    if not stated:
        raise InvalidRequestError("BAD_REQUEST", "it has to be said why; the log keeps it")
    return stated


def raise_version(tx: Statements) -> int:
    """Raise the registry's version, so that every reader of every process refreshes.

    Returns:
        The new version, to be written into `changed` of each row that the act touches.
    """
    tx.execute("UPDATE registry_version SET version = version + 1")
    row = tx.execute("SELECT version FROM registry_version").fetchone()
    return int(row[0])
