"""The snapshots a node serves from: one current per product, and older ones while in use.

    <directory>/<product>/<snapshot id>/    an admitted snapshot
    <directory>/<product>/current           the id of the one that is served
    <directory>/<product>/quarantine.csv    rows that the last load held back, if any
    <directory>/<product>/records-*.arrow   which record each row of a removed snapshot was

A change of `current` is one rename, by this process or another; readers notice it by the
file's identity, which costs one `stat`. A snapshot is served only after the records that
were ever sealed have been sealed in it again (R27): also after a restore, which brings
back old files, never old permission.
"""

import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import pyarrow as pa

from gateway.domain.errors import NotFoundError
from gateway.domain.product import Product
from gateway.snapshot.admission import RecordSource, Rule, admit
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.record_map import write_map
from gateway.snapshot.sealing import SealedPage, seal_pages
from gateway.snapshot.snapshot import Snapshot

POINTER, QUARANTINE = "current", "quarantine.csv"
_PRODUCT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SNAPSHOT_ID = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = (".admitting-", ".staging-")
_Mark = tuple[int, int, int]
SealedKeys = Callable[[str], Iterable[SealedPage]]


class SnapshotLibrary:
    """Opens, activates and seals snapshots. Thread-safe; the lock is held while opening.

    Sealing and opening exclude each other. So a record whose seal was durable before `seal`
    is sealed in every snapshot that is open when `seal` returns, and in every one opened
    later, since opening reads the sealed keys under the same lock.

    Args:
        directory: Where the snapshots are; made when missing.
        sealed_keys: Product name to the record keys that are sealed now, from durable state, in
            pages: lists of texts, or Arrow columns of them.
        prepare: Called with each snapshot after it was sealed and before it serves: labels and
            withholds what durable state says besides.
        verify: Compare every file's digest on opening.
        opener: Opens one snapshot's directory; by default as `admit` left it.
    """

    def __init__(
        self,
        directory: Path,
        sealed_keys: SealedKeys | None = None,
        *,
        prepare: Callable[[Snapshot], None] | None = None,
        verify: bool = False,
        opener: Callable[[Path], Snapshot] | None = None,
    ) -> None:
        self._directory = directory
        self._opener = opener or (lambda place: Snapshot.open(place, verify=verify))
        self._sealed_keys = sealed_keys or (lambda _: ())
        self._prepare = prepare
        self._lock = threading.RLock()
        self._current: dict[str, tuple[_Mark, Snapshot]] = {}
        # Every snapshot that anyone still reads, so that a seal reaches running streams.
        self._open: WeakValueDictionary[tuple[str, str], Snapshot] = WeakValueDictionary()
        directory.mkdir(parents=True, exist_ok=True)

    def current(self, product: str) -> Snapshot | None:
        """Return the snapshot that is served now, or None when the product has none.

        Raises:
            SnapshotDamagedError: The pointer or the snapshot is damaged; nothing is served.
        """
        mark = self._mark(product)
        if mark is None:
            self._current.pop(product, None)  # taken away: nobody keeps it open
            return None
        held = self._current.get(product)
        if held is not None and held[0] == mark:
            return held[1]
        with self._lock:
            return self._reload(product)

    def pinned(self, product: str, snapshot_id: str) -> Snapshot | None:
        """Return one snapshot by its id, current or not, or None when it is no longer kept.

        Raises:
            SnapshotDamagedError: It is there and damaged.
        """
        if _SNAPSHOT_ID.fullmatch(snapshot_id) is None or not self._known(product):
            return None
        held = self._current.get(product)
        if held is not None and held[1].snapshot_id == snapshot_id:
            return held[1]
        with self._lock:
            if not (self._directory / product / snapshot_id).is_dir():
                return None
            return self._opened(product, snapshot_id)

    def products(self) -> tuple[str, ...]:
        """Return the names of the products that have a current snapshot, sorted."""
        pointers = self._directory.glob(f"*/{POINTER}")
        return tuple(sorted(path.parent.name for path in pointers))

    def admit_and_activate(
        self,
        source: RecordSource,
        product: Product,
        schema: pa.Schema,
        *,
        now: int,
        as_of: int,
        quarantined: int | Callable[[], int],
        batch_rows: int = 32768,
        shareable: Rule | None = None,
        expires_at: Rule | None = None,
        announce: Callable[[Manifest], None] | None = None,
    ) -> Snapshot:
        """Admit a source's rows and serve them from now on; see `admit` for the arguments.

        The one served before goes on being read by who holds it.

        `announce` is called with the manifest before the snapshot is served, to log it; what it
        raises leaves it unserved.

        Raises:
            XinguanError: As `admit`; what was served before is served still.
        """
        home = self._home(product.name)
        staging = home / f".staging-{secrets.token_hex(8)}"
        manifest = admit(
            source,
            product,
            schema,
            staging,
            now=now,
            as_of=as_of,
            quarantined=quarantined,
            batch_rows=batch_rows,
            shareable=shareable,
            expires_at=expires_at,
        )
        _put(staging, home / manifest.snapshot_id)
        if announce is not None:
            announce(manifest)
        self.activate(product.name, manifest.snapshot_id)
        snapshot = self.current(product.name)
        if snapshot is None:
            raise SnapshotDamagedError("PRODUCT_UNAVAILABLE", "the admitted snapshot is gone")
        return snapshot

    def admit_aside(
        self,
        source: RecordSource,
        product: Product,
        schema: pa.Schema,
        *,
        now: int,
        as_of: int,
        quarantined: int,
        batch_rows: int,
        announce: Callable[[Manifest], object],
    ) -> Snapshot:
        """Admit rows as a snapshot that only `pinned` finds; see `admit_and_activate`.

        Raises:
            XinguanError: As `admit`.
        """
        home = self._home(product.name)
        staging = home / f".staging-{secrets.token_hex(8)}"
        manifest = admit(
            source, product, schema, staging, now=now, as_of=as_of, quarantined=quarantined,
            batch_rows=batch_rows,
        )  # fmt: skip
        _put(staging, home / manifest.snapshot_id)
        announce(manifest)
        with self._lock:
            return self._opened(product.name, manifest.snapshot_id)

    def discard(self, product: str, snapshot_id: str) -> None:
        """Remove a snapshot that was admitted aside; the map from rows to records stays.

        Whoever has it open reads on. Idempotent; the present one is never removed.
        """
        with self._lock:
            home = self._home(product)
            path = home / snapshot_id
            served = (home / POINTER).exists() and self._pointed(product) == snapshot_id
            if _SNAPSHOT_ID.fullmatch(snapshot_id) and path.is_dir() and not served:
                write_map(Snapshot.open(path), home)
                shutil.rmtree(path)

    def activate(self, product: str, snapshot_id: str) -> None:
        """Point a product at a snapshot that is in the library already.

        Raises:
            NotFoundError: There is no such snapshot.
        """
        home = self._home(product)
        known = _SNAPSHOT_ID.fullmatch(snapshot_id) is not None
        if not known or not (home / snapshot_id).is_dir():
            raise NotFoundError("NOT_FOUND", "the product has no such snapshot")
        fresh = home / f".{POINTER}-{secrets.token_hex(8)}"
        with fresh.open("wb") as sink:
            sink.write(snapshot_id.encode() + b"\n")
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(home / POINTER)
        handle = os.open(home, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def seal(self, product: str, record_keys: Sequence[str]) -> int:
        """Withhold records in every open snapshot of a product; return rows of the current.

        Call it after the seal is durable, inside `Gate.publish`.
        """
        return self._flip(product, record_keys, Snapshot.seal)

    def unseal(self, product: str, record_keys: Sequence[str]) -> int:
        """End a temporary withholding that no other cause holds; return rows of the current."""
        return self._flip(product, record_keys, Snapshot.unseal)

    def change(self, product: str, change: Callable[[Snapshot], object]) -> None:
        """Change every open snapshot of a product: bits and labels.

        One that is opened later reads durable state under the same lock, so it needs no change.
        """
        with self._lock:
            for (name, _), snapshot in list(self._open.items()):
                if name == product:
                    change(snapshot)

    def start_over(self) -> None:
        """Do again for every open snapshot what was done before it served.

        For a process that can't know what it missed. Nothing may be released meanwhile: bits
        are restored before what is sealed now is sealed again.
        """
        with self._lock:
            for (product, _), snapshot in list(self._open.items()):
                snapshot.restore_all()
                self._seal_all(product, snapshot)

    def quarantine(self, product: str) -> Path:
        """Return the file that names the rows which the last load of a product held back."""
        return self._home(product) / QUARANTINE

    def kept(self, product: str) -> tuple[str, ...]:
        """Return the ids of all snapshots of a product that are here, sorted."""
        if _PRODUCT.fullmatch(product) is None:
            return ()
        found = (path.name for path in (self._directory / product).glob("*"))
        return tuple(sorted(name for name in found if _SNAPSHOT_ID.fullmatch(name)))

    def retire(
        self, product: str, keep: Collection[str] = (), *, abandoned: bool = False
    ) -> tuple[str, ...]:
        """Remove snapshots that are neither current, nor open here, nor in `keep`.

        Of each the map from its rows to records stays, so that a recall still finds whoever
        received one of them; a snapshot whose map can't be written stays as well.

        Args:
            product: Product name.
            keep: Ids that tickets or other processes still need.
            abandoned: Remove what admissions that crashed left behind, too; only while no
                process is admitting.

        Returns:
            The names of what was removed, sorted.

        Raises:
            OSError: A map can't be written.
            SnapshotDamagedError: A snapshot can't be read, so neither can its map be made.
        """
        with self._lock:
            home = self._home(product)
            needed = {*keep, *(key[1] for key in self._open if key[0] == product)}
            if (home / POINTER).exists():
                needed.add(self._pointed(product))
            gone = [
                path
                for path in home.iterdir()
                if (_SNAPSHOT_ID.fullmatch(path.name) and path.name not in needed)
                or (abandoned and path.name.startswith(_UNFINISHED))
            ]
            for path in gone:
                if _SNAPSHOT_ID.fullmatch(path.name):
                    write_map(Snapshot.open(path), home)
                shutil.rmtree(path)
            return tuple(sorted(path.name for path in gone))

    def _flip(
        self,
        product: str,
        record_keys: Sequence[str],
        flip: Callable[[Snapshot, Sequence[str]], Collection[int]],
    ) -> int:
        keys = list(record_keys)
        with self._lock:
            current = self.current(product)
            for (name, _), snapshot in list(self._open.items()):
                if name == product and snapshot is not current:
                    flip(snapshot, keys)
            return 0 if current is None else len(flip(current, keys))

    def _reload(self, product: str) -> Snapshot | None:
        mark = self._mark(product)
        if mark is None:
            return None
        held = self._current.get(product)
        if held is not None and held[0] == mark:
            return held[1]
        snapshot = self._opened(product, self._pointed(product))
        self._current[product] = (mark, snapshot)
        return snapshot

    def _opened(self, product: str, snapshot_id: str) -> Snapshot:
        """Open and seal, then make it reachable: in this order, so that none is served open."""
        found = self._open.get((product, snapshot_id))
        if found is not None:
            return found
        snapshot = self._opener(self._directory / product / snapshot_id)
        if snapshot.snapshot_id != snapshot_id or snapshot.product != product:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "a snapshot is not in the place its digest names"
            )
        self._seal_all(product, snapshot)
        self._open[product, snapshot_id] = snapshot
        return snapshot

    def _seal_all(self, product: str, snapshot: Snapshot) -> None:
        seal_pages(snapshot.seal, self._sealed_keys(product))
        if self._prepare is not None:
            self._prepare(snapshot)

    def _pointed(self, product: str) -> str:
        text = (self._directory / product / POINTER).read_text("ascii", "replace").strip()
        if _SNAPSHOT_ID.fullmatch(text) is None:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the pointer to the current snapshot is damaged"
            )
        return text

    def _mark(self, product: str) -> _Mark | None:
        if not self._known(product):
            return None
        try:
            found = os.stat(f"{self._directory}/{product}/{POINTER}")  # noqa: PTH116 - per call
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _known(self, product: str) -> bool:
        return product in self._current or _PRODUCT.fullmatch(product) is not None

    def _home(self, product: str) -> Path:
        if _PRODUCT.fullmatch(product) is None:
            raise NotFoundError("NOT_FOUND", "a product's name is lower-case and plain")
        home = self._directory / product
        home.mkdir(exist_ok=True)
        return home


def _put(staging: Path, place: Path) -> None:
    if place.exists():  # the same content, admitted in the same second
        shutil.rmtree(staging)
    else:
        staging.rename(place)
