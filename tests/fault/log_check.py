"""What must hold of a log after a fault, whatever the fault was.

The first half looks at what lies on the disk at that moment, as a stranger with the verifier
key sees it. The second half opens the log again, as the restarted node does, goes on with it,
and compares it with everything that the dead process had acknowledged.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.errors import AuditError
from audit.integrator import LEASE_S, Integrator
from audit.journal import Journal
from audit.merkle import CompactRange, leaf_hash
from audit.note import Verifier
from audit.reader import CHECKPOINT, LogReader
from audit.verify import verify_log
from tests.audit.log_home import ORIGIN, SIGNER, VKEY, body
from tests.fault.log_writer import NOW

_KEY = Verifier.parse(VKEY)


@dataclass
class Findings:
    """What does not hold; all lists empty when everything does."""

    corruptions: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        return [*self.corruptions, *self.losses, *self.defects]


def check_log(
    root: Path, records: list[dict[str, Any]], *, known: Checkpoint | None = None
) -> Findings:
    """Check a log after a fault against what its writer had been told.

    Args:
        root: Holds `state.sqlite3` and `log/`.
        records: The writer's ledger.
        known: A checkpoint from before the fault.
    """
    found = Findings()
    found.defects += [
        f"{each['what']}: {each['error']} ({each['cause']})"
        for each in records
        if each["kind"] == "defect"
    ]
    published = [
        open_checkpoint(each["note"].encode(), _KEY)
        for each in records
        if each["kind"] == "checkpoint"
    ]
    published += [known] if known is not None else []
    at_once = _check_as_it_lies(root / "log", published, found)
    if at_once is not None:
        published.append(at_once)
    acknowledged = {each["index"]: each["leaf"] for each in records if each["kind"] == "entry"}
    try:
        _check_reopened(root, published, acknowledged, found)
    except AuditError as error:
        found.defects.append(f"it cannot be opened again: {type(error).__name__}: {error}")
    return found


def _check_as_it_lies(log: Path, published: list[Checkpoint], found: Findings) -> Checkpoint | None:
    if not (log / CHECKPOINT).exists():
        if published:
            found.losses.append("a published checkpoint is gone")
        return None
    report = verify_log(log, VKEY, known=max(published, key=lambda each: each.size, default=None))
    found.corruptions += [f"at once: {each.message} {each.index}" for each in report.problems]
    return report.checkpoint


def _check_reopened(
    root: Path, published: list[Checkpoint], acknowledged: dict[int, str], found: Findings
) -> None:
    journal = Journal(root / "state.sqlite3")
    try:
        last = journal.run(lambda tx: tx.append_body(body(999_999)))
        integrator = Integrator(journal, root / "log", ORIGIN, SIGNER, lambda: NOW + 10 * LEASE_S)
        final = integrator.integrate_all()
        integrator.close()
    finally:
        journal.close()
    report = verify_log(root / "log", VKEY)
    found.corruptions += [f"reopened: {each.message} {each.index}" for each in report.problems]
    if final.size != last.index + 1:
        found.losses.append("the index after reopening is not the number of entries")
    leaves = [leaf_hash(each) for each in LogReader(root / "log", VKEY).entries(0, final.size)]
    for index, leaf in acknowledged.items():
        if index >= len(leaves) or leaves[index].hex() != leaf:
            found.losses.append(f"the acknowledged entry {index} is not in the log")
    _check_roots(published, leaves, found)


def _check_roots(published: list[Checkpoint], leaves: list[bytes], found: Findings) -> None:
    """Compare every checkpoint ever seen with the tree of that size, hashed from the entries."""
    tree = CompactRange()
    roots = [tree.root()]
    for leaf in leaves:
        tree.push(leaf)
        roots.append(tree.root())
    for each in published:
        if each.size >= len(roots):
            found.losses.append(f"the log is shorter than its checkpoint of {each.size}")
        elif roots[each.size] != each.root:
            found.corruptions.append(f"the log does not extend its checkpoint of {each.size}")
