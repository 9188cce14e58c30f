"""Who could be told apart by what one bank has asked: subjects by the portfolios that held them.

Pseudonyms stay the same from answer to answer, so a bank that asks about some firms, and then
about the same ones and one more, would see which pseudonym is new. Two subjects that stood in
exactly the same portfolios can't be told apart so; they form a group. Each new portfolio cuts
groups in two, and an answer may be given only when no side of a cut is smaller than the minimum.
A subject counts when something was shown, or would be; a code that nobody has hides nobody.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gateway.domain.facts import NO_GROUP
from gateway.snapshot.bitmap import Flags, Rows

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
_PRODUCTS = b"xinguan.products"
MOST_PRODUCTS = 63  # one bit each
Labels = NDArray[np.uint64]


@dataclass(frozen=True)
class Partition:
    """The subjects that one bank has asked about.

    Args:
        labels: Keyed label of each subject, sorted, each once.
        groups: For each, the number of its group; the same for all that stood together always.
        shown: For each, a bit for every product in which it had something to show.
        products: Name of the product of each bit.
    """

    labels: Labels
    groups: Rows
    shown: Labels
    products: tuple[str, ...]

    @classmethod
    def empty(cls) -> "Partition":
        """Return that of a bank that never asked."""
        none = np.zeros(0, np.uint64)
        return cls(none, np.zeros(0, np.int64), none, ())

    def encode(self) -> bytes:
        """Return it as an Arrow IPC stream."""
        names = "\n".join(self.products).encode()
        table = _arrow.table(
            {"label": self.labels, "group": self.groups.astype(np.uint32), "shown": self.shown}
        ).replace_schema_metadata({_PRODUCTS: names})
        sink = pa.BufferOutputStream()
        with _arrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    @classmethod
    def decode(cls, encoded: bytes) -> "Partition":
        """Return what `encode` wrote."""
        table = _arrow.ipc.open_stream(pa.py_buffer(encoded)).read_all().combine_chunks()
        labels, groups, shown = (table.column(n).to_numpy() for n in ("label", "group", "shown"))
        names = table.schema.metadata[_PRODUCTS].decode()
        return cls(
            labels, groups.astype(np.int64), shown, tuple(names.split("\n")) if names else ()
        )

    def shown_of(self, product: str) -> int:
        """Return of how many subjects a product had something to show."""
        if product not in self.products:
            return 0
        bit = np.uint64(1 << self.products.index(product))
        return int(((self.shown & bit) != 0).sum())

    def cut(self, asked: Labels, known: Flags, product: str) -> "Cut":
        """Return what an answer about some subjects would make of the groups.

        Args:
            asked: Labels of the subjects asked about, sorted, each once.
            known: Which of them have something to show now.
            product: The product that is asked.
        """
        products = self.products
        if product not in products:
            products = (*products, product)
        bit = np.uint64(1 << products.index(product))
        places = np.searchsorted(self.labels, asked)
        inside = np.minimum(places, max(len(self.labels) - 1, 0))
        old = self.labels[inside] == asked if len(self.labels) else np.zeros(len(asked), np.bool_)
        count = int(self.groups.max()) + 1 if len(self.groups) else 0
        met = self.groups[inside[old]] if count else np.zeros(0, np.int64)
        seen = self.shown != 0
        real = np.bincount(self.groups[seen], minlength=count)
        visible = np.bincount(met[known[old]], minlength=count)
        left = real - np.bincount(met[seen[inside[old]]] if count else met, minlength=count)
        cut = visible > 0
        # What is shown of a group, what of it stays outside, and what is shown for the first time.
        fresh = int((known & ~old).sum())
        sides = np.concatenate((visible[cut], left[cut], [fresh]))
        smallest = int(sides[sides > 0].min()) if (sides > 0).any() else NO_GROUP
        groups, shown = self.groups.copy(), self.shown.copy()
        met_all = np.bincount(met, minlength=count)
        size = np.bincount(self.groups, minlength=count)
        parted = cut & (met_all < size)
        numbers = np.cumsum(parted) - 1 + count
        if count:
            moved = inside[old][parted[met]]
            groups[moved] = numbers[groups[moved]]
            shown[inside[old][known[old]]] |= bit
        fresh_group = count + int(parted.sum())
        labels = np.concatenate((self.labels, asked[~old]))
        order = np.argsort(labels, kind="stable")
        made = Partition(
            labels[order],
            np.concatenate((groups, np.full(int((~old).sum()), fresh_group)))[order],
            np.concatenate((shown, np.where(known[~old], bit, np.uint64(0))))[order],
            products,
        )
        return Cut(smallest, made, made.differs(self))

    def differs(self, other: "Partition") -> bool:
        """Return whether two partitions say something else."""
        return not (
            len(self.labels) == len(other.labels)
            and np.array_equal(self.groups, other.groups)
            and np.array_equal(self.shown, other.shown)
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """What an answer would make of the groups.

    Args:
        smallest: Fewest subjects among which one could hide afterwards; `NO_GROUP` when the
            answer tells nobody apart.
        partition: The groups afterwards.
        changed: Whether they differ from those before.
    """

    smallest: int
    partition: Partition
    changed: bool


def first_letters(pseudonyms: Any) -> Labels:
    """Return the first 64 bits of each pseudonym of a column as a number."""
    _, offsets, data = pseudonyms.buffers()
    count = len(pseudonyms)
    if not count:
        return np.zeros(0, np.uint64)
    ends = np.frombuffer(offsets, np.int32)[pseudonyms.offset :][: count + 1]
    width = int(ends[1] - ends[0])
    text = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(count, width)[:, 1:17]
    digits = np.where(text >= ord("a"), text - ord("a") + 10, text - ord("0")).astype(np.uint64)
    numbers = np.zeros(count, np.uint64)
    for place in range(16):
        numbers = (numbers << np.uint64(4)) | digits[:, place]
    return numbers
