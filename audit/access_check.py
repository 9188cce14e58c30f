"""From a proved document to the list of accesses: everything it must show, and nothing else."""

from audit.access import ACCESS_KINDS, Access, access_of
from audit.access_proof import SUBJECT, Proved
from audit.errors import ProofError


def accesses_of(
    proved: Proved, *, start: int = 0, end: int = 1 << 62, first: int = 0, next_first: int = 0
) -> list[Access]:
    """Return the accesses of a window, after checking that the document shows all of them.

    An access in the index that is not shown must lie before or after the window: an entry that
    is shown and comes later in the log is older than the window, or one that comes earlier is
    younger. That rests on times that rise with the log, which `xinguan audit doctor` checks.

    Args:
        proved: A document that was checked.
        start: First time wanted, unix seconds.
        end: First time not wanted.
        first: First log index wanted.
        next_first: Log index at which the answer was cut; 0 when it was not.

    Raises:
        ProofError: An access is missing, or one that is shown is not in the index.
    """
    bulk = {int(intent): each for intent, each in proved.told.get("bulk", {}).items()}
    outcomes = {
        entry["intent"]: (index, entry)
        for index, entry in proved.entries.items()
        if entry["kind"] == "outcome"
    }
    named = set(proved.lists.get(SUBJECT, ()))
    shown: list[Access] = []
    for index, entry in sorted(proved.entries.items()):
        if entry["kind"] not in ACCESS_KINDS:
            continue
        released = bulk.get(index)
        if index < proved.complete_below and index not in named:
            listed = () if released is None else proved.lists.get(released["snapshot"], ())
            if index not in listed:
                raise ProofError("an access is shown that the index does not hold")
        if start <= entry["time"] < end and index >= first:
            rows = 0 if released is None else released["rows"]
            shown.append(access_of(index, entry, outcomes.get(index), rows))
    for index in named - {each.index for each in shown}:
        if not (index < first or 0 < next_first <= index or _outside(proved, index, start, end)):
            raise ProofError("an access that the index holds is not shown")
    return shown


def _outside(proved: Proved, index: int, start: int, end: int) -> bool:
    return any(
        (other >= index and entry["time"] < start) or (other <= index and entry["time"] >= end)
        for other, entry in proved.entries.items()
        if entry["kind"] in ACCESS_KINDS
    )
