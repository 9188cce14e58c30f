"""One administrative act: when, on which node, by whom; and the version that it raises."""

from dataclasses import dataclass

from gateway.store.migration import Statements

CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Act:
    """The circumstances of an act, the same for every kind of it.

    Args:
        now: Unix seconds.
        node: The node on which it is done.
        actor: Party id of the administrator who calls, or `console` for the command line on
            the node itself, where the operating system's account answers for it.
    """

    now: int
    node: str
    actor: str = CONSOLE


def raise_version(tx: Statements) -> int:
    """Raise the registry's version, so that every reader of every process refreshes.

    Returns:
        The new version, to be written into `changed` of each row that the act touches.
    """
    tx.execute("UPDATE registry_version SET version = version + 1")
    row = tx.execute("SELECT version FROM registry_version").fetchone()
    return int(row[0])
