"""A log in a temporary directory, with a key that everybody may know."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.integrator import Integrator
from audit.journal import Journal
from audit.merkle import leaf_hash
from audit.note import Ed25519Signer
from audit.store import Reader
from tests.stores import Place

ORIGIN = "example.com/test-log"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
VKEY = SIGNER.verifier_key


@dataclass
class LogHome:
    """A state database and a log directory under one root; time stands still until moved."""

    root: Path
    now: int = 1_800_000_000
    place: Place | None = None
    journal: Journal = field(init=False)
    readers: list[Reader] = field(default_factory=list)

    def __post_init__(self):
        self.root.mkdir(exist_ok=True)
        self.place = self.place or Place("sqlite", self.root / "state.sqlite3")
        self.reopen()

    def reopen(self):
        self.journal = self.place.journal()

    @property
    def directory(self):
        return self.root / "log"

    def integrator(self, **more):
        made = Integrator(self.journal, self.directory, ORIGIN, SIGNER, lambda: self.now, **more)
        self.readers.append(made._connection)
        return made

    def close(self):
        """Close what tests leave open, as the end of a process would."""
        for reader in self.readers:
            reader.close()
        self.journal.close()

    def append(self, count, start=0):
        bodies = [body(start + number) for number in range(count)]
        self.journal.run(lambda tx: [tx.append_body(each) for each in bodies])

    def append_quickly(self, count, start=0):
        for first in range(start, start + count, 4000):
            bodies = [body(n) for n in range(first, min(first + 4000, start + count))]
            rows = [(leaf_hash(each), each) for each in bodies]
            self.journal.run(lambda tx, rows=rows: tx._session.insert_bodies(rows))


def body(number):
    return f'{{"number":{number},"pad":"{"x" * (number % 40)}"}}'.encode()
