"""What reconciliation remembers between two runs, and how a finding looks."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

_VERSION: Final = 1
MAX_FINDINGS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree.

    Args:
        kind: A stable word: `open_intent`, `rows_disagree` and the like.
        index: Log index of the entry that it is about, or -1.
        message: What, without values.
        reported: Log index of an entry that says so already, or -1.
    """

    kind: str
    index: int
    message: str
    reported: int = -1


@dataclass(slots=True)
class OpenIntent:
    """An intent whose outcome has not been met yet.

    Args:
        time: Unix seconds.
        node: The node that wrote it.
        numbers: Numbers of the batches so far.
        rows: Rows of the batches so far.
        batches: Log indexes of the batches so far.
    """

    time: int
    node: str
    numbers: list[int] = field(default_factory=list)
    rows: int = 0
    batches: list[int] = field(default_factory=list)


@dataclass(slots=True)
class DoctorState:
    """Where the last run ended, and what later entries may refer to.

    Args:
        position: Entries that were read.
        leaf: Leaf hash of the last of them, hex; another one means another log.
        open: Intent to what is known of it.
        running: Nodes that started and have not stopped, to the index of their start.
        newest: Node to the newest time it wrote.
        known: Kind of reference to what it may name: indexes and digests.
        reported: Open intent to the entry that reports it.
        findings: What was found for good.
    """

    position: int = 0
    leaf: str = ""
    open: dict[int, OpenIntent] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)
    reported: dict[int, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, index: int, message: str) -> None:
        """Note a finding that no later entry can take back."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(kind, index, message))

    def learn(self, reference: str, *names: object) -> None:
        """Note what later entries may refer to."""
        self.known.setdefault(reference, set()).update(str(name) for name in names)

    def knows(self, reference: str, name: object) -> bool:
        """Say whether an entry before this one is what is referred to."""
        return str(name) in self.known.get(reference, ())

    def to_json(self) -> bytes:
        """Write it down."""
        plain = asdict(self) | {
            "v": _VERSION,
            "known": {kind: sorted(names) for kind, names in self.known.items()},
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else; one starts from the beginning then.
        """
        try:
            plain: Mapping[str, Any] = json.loads(data)
            if plain["v"] != _VERSION:
                raise ValueError("another version")
            return cls(
                position=plain["position"],
                leaf=plain["leaf"],
                open={int(index): OpenIntent(**each) for index, each in plain["open"].items()},
                running=dict(plain["running"]),
                newest=dict(plain["newest"]),
                known={kind: set(names) for kind, names in plain["known"].items()},
                reported={int(index): entry for index, entry in plain["reported"].items()},
                findings=[Finding(**each) for each in plain["findings"]],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is not what a run of the doctor left") from error
