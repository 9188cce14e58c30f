"""A log whose entries concern subjects, as the gateway writes them, without the gateway."""

import contextlib
import itertools
import os
from base64 import urlsafe_b64encode

from audit.commitment import (
    Opening,
    SubjectLabels,
    commit,
    commit_subjects,
    snapshot_label,
    subjects_value,
)
from audit.entries import Use, denial, intent, outcome
from audit.index_audit import IndexKeys, verify_index
from audit.indexer import Indexer
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.store.migration import load, migrate
from tests.audit.log_home import VKEY, LogHome

INDEX_KEY = b"i" * 32
OPENING_KEY = b"o" * 32
NODE = "node-1"
DIGEST = bytes(range(32))


class IndexHome(LogHome):
    """A log home with the tables of the index."""

    def __post_init__(self):
        super().__post_init__()
        self.journal.run(lambda tx: migrate(tx, load()))
        self.store = OpeningStore(OPENING_KEY)
        self.labels = SubjectLabels(INDEX_KEY)
        self.keys = IndexKeys(self.store, INDEX_KEY)
        self._requests = itertools.count()

    def ask(self, *subjects, refused=False, snapshot=DIGEST, close=True):
        """Write an intent (or a denial) about subjects and its outcome; return its index."""
        openings, singly = {}, ()
        if len(subjects) > 1:
            salts = os.urandom(32 * (len(subjects) + 1))
            openings["subjects"], singly = commit_subjects(subjects, salts)
        else:
            openings["subjects"] = Opening("subjects", subjects_value(subjects), os.urandom(32))
        openings["case"] = Opening("case", b"case", os.urandom(32))
        use = Use(
            request=f"{next(self._requests):026d}",
            product="admin_penalty",
            party="uscc:91460000000000000A",
            purpose="CREDIT_REPORT",
            scenario="ENTERPRISE_REPORT",
            licence=3,
            subject_count=len(subjects),
            subjects=commit(openings["subjects"]),
            case=commit(openings["case"]),
        )
        if refused:
            entry = denial(time=self.now, node=NODE, use=use, reasons=[("R32", "OUT_OF_SCOPE")])
        else:
            entry = intent(
                time=self.now, node=NODE, use=use, snapshot=snapshot, fields={"name": "allow"}
            )
        labels = [self.labels.of(each) for each in subjects]
        if not subjects and not refused:
            labels = [snapshot_label(INDEX_KEY, snapshot.hex())]

        def job(tx):
            index = tx.append(entry).index
            self.store.record(tx, index, openings, labels, singly)
            if not refused and close:
                done = outcome(
                    time=self.now, node=NODE, intent=index, status="delivered", rows=1, size=9
                )
                ended = tx.append(done).index
                tx.execute("INSERT INTO intent_entries VALUES (?, ?, 'outcome')", (index, ended))
            return index

        return self.journal.run(job)

    @contextlib.contextmanager
    def indexer(self, **words):
        made = Indexer(self.journal, NODE, lambda: self.now, **words)
        try:
            yield made
        finally:
            made.close()

    def seal(self, **words):
        """Seal what is new and publish it; return the roots."""
        with self.indexer(**words) as indexer:
            roots = indexer.seal()
        self.publish()
        return roots

    def publish(self):
        integrator = self.integrator()
        integrator.integrate_all()
        integrator.close()

    @property
    def reader(self):
        return LogReader(self.directory, VKEY)

    @contextlib.contextmanager
    def connect(self):
        connection = self.journal.connect()
        try:
            yield connection
        finally:
            connection.close()

    def verify(self):
        with self.connect() as connection:
            return verify_index(self.reader, connection, self.keys)

    def execute(self, sql, *values):
        return self.journal.run(lambda tx: tx.execute(sql, values).rowcount)


def text(digest):
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
