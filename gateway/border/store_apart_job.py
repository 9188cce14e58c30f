"""Keeping the store apart: copying what changed, confirming what didn't, taking away what ended.

The only place where a domestic snapshot and a copy meet. For each product a round makes sure that
the copy that serves has exactly the rows that may be shared now and the fields that a whitelist in
effect names now; where it has, the round says so (`StoreApart.confirm`), and that is all.

A copy serves only after three things are durable: its files, the map from its rows to records
(which lies at home, so that a recall finds who received a record even when the store is gone), and
its entry in the log. It is opened before it serves, which seals and labels it as durable state
says; from then on every repair reaches it through the same gate (`gateway.repair.effect`).
"""

import fcntl
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from audit import entries
from audit.journal import Transaction
from gateway.border.store_apart import StoreApart, readable
from gateway.border.store_apart_copy import CopyMaker, statement_of
from gateway.border.store_apart_key import destroy_key, key_name, open_key
from gateway.border.store_apart_scope import Scope, copied_rows, scope_of
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.domain.product import Product
from gateway.registry.act import Act
from gateway.registry.registry import View
from gateway.snapshot.bitmap import Flags
from gateway.snapshot.library import POINTER, SnapshotLibrary
from gateway.snapshot.record_map import map_path, write_rows
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_LOCK = ".copying"
_KEPT_BESIDE_S = 600  # beyond the limit after which no copy serves
GATEWAY = "gateway"  # the actor of what no person did


@dataclass(frozen=True, slots=True)
class Copied:
    """What a round did about one product.

    Args:
        product: Product name.
        what: `copied`, `confirmed`, `withdrawn` (no whitelist names a field any more),
            `no_records` or the reason code of what failed.
        copy: Id of the copy that serves, or empty.
        fields: Fields that may leave.
        entry: Log index of a new copy, or None.
    """

    product: str
    what: str
    copy: str = ""
    fields: tuple[str, ...] = ()
    entry: int | None = None


class Copier:
    """Keeps the copies of one deployment. Blocking; one round at a time, whichever process.

    Args:
        state: The state; its log gets an entry for each copy.
        domestic: The domestic snapshots, sealed as a serving gateway's are.
        maps: Where the maps of records are: the domestic snapshots' directory.
        store: The store apart.
        products: The catalogue.
        view: The registry as it stands.
        derived: Products whose values are computed from records.
        age_limit_s: How long a copy serves after it was confirmed.
    """

    def __init__(
        self,
        state: State,
        domestic: SnapshotLibrary,
        maps: Path,
        store: StoreApart,
        products: Mapping[str, Product],
        view: Callable[[], View],
        *,
        derived: Collection[str],
        age_limit_s: int,
    ) -> None:
        self._state = state
        self._domestic = domestic
        self._maps = maps
        self._store = store
        self._products = products
        self._view = view
        self._derived = derived
        self._keep_s = age_limit_s + _KEPT_BESIDE_S

    def signature(self, now: int) -> tuple[object, ...]:
        """Return what changes when a copy has to be made anew at once; cheap."""
        scopes = {name: self._scope(product, now) for name, product in self._products.items()}
        return tuple(
            (scope, self._present(name) if scope.fields else "") for name, scope in scopes.items()
        )

    def _present(self, product: str) -> str:
        try:
            snapshot = self._domestic.current(product)
        except XinguanError as error:
            return error.code  # the round tells of it
        return "" if snapshot is None else snapshot.snapshot_id

    def round(self, act: Act, only: str = "", *, anew: bool = False) -> list[Copied]:
        """Copy, confirm or take away, product by product.

        Args:
            act: The circumstances; the time is looked at as that of the domestic records.
            only: One product, or empty for all.
            anew: A person opens the store again after it was destroyed.

        Returns:
            What was done; products that have nothing abroad and never had are left out.

        Raises:
            StoreDestroyedError: The store was destroyed.
            UnavailableError: `BORDER_COPY_BUSY` when another process is copying.
        """
        with self._alone():
            names = [only] if only else sorted(self._products)
            found = [self._product(self._products[name], act, anew=anew) for name in names]
        return [each for each in found if each is not None]

    def destroy(self, act: Act) -> tuple[str, int]:
        """Destroy the key and remove every copy; return the key's name and how many there were.

        What runs notices it with its next request or batch. The maps of records stay at home.

        Raises:
            UnavailableError: `BORDER_COPY_BUSY`; `AUDIT_UNAVAILABLE` before anything is gone.
        """
        with self._alone():
            homes = [path for path in self._store.directory.glob("*") if path.is_dir()]
            copies = sum(len(self._store.library.kept(home.name)) for home in homes)
            name = self._key_name()
            self._state.run(
                lambda tx: tx.append(
                    entries.border_destroyed(
                        time=act.now,
                        node=act.node,
                        actor=act.actor,
                        key=name,
                        copies=copies,
                        reason=act.reason,
                    )
                )
            )
            for home in homes:
                (home / POINTER).unlink(missing_ok=True)
            destroy_key(self._store.key_path)
            for home in homes:
                shutil.rmtree(home, ignore_errors=True)
        return name, copies

    def _product(self, product: Product, act: Act, *, anew: bool) -> Copied | None:
        name = product.name
        try:
            scope = self._scope(product, act.now)
            if not scope.fields:
                return self._withdraw(name)
            source = self._domestic.current(name)
            if source is None:
                return Copied(name, "no_records")
            key = open_key(self._store.key_path, anew=anew)
            flags = copied_rows(source, scope, act.now)
            statement = statement_of(source, flags, scope.fields)
            present = readable(self._store, name)
            if present is not None and present.copied == statement:
                self._store.confirm(present, act.now)
                done = Copied(name, "confirmed", present.snapshot_id, scope.fields)
            else:
                done = self._copy(product, source, flags, scope, key, act)
            self._retire(name, act.now)
        except XinguanError as error:
            if error.code == "BORDER_STORE_DESTROYED":
                raise
            _log.warning("border_copy_failed", product=name, reason=error.code)
            return Copied(name, error.code)
        except OSError:
            _log.warning("border_copy_failed", product=name, reason="PRODUCT_UNAVAILABLE")
            return Copied(name, "PRODUCT_UNAVAILABLE")
        return done

    def _copy(
        self,
        product: Product,
        source: Snapshot,
        flags: Flags,
        scope: Scope,
        key: bytes,
        act: Act,
    ) -> Copied:
        home = self._store.directory / product.name
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        maker = CopyMaker(
            source, product, flags, scope.fields, scope.needed, store_key=key, now=act.now
        )
        copy_id = maker.write(home).snapshot_id
        names = (product.record_key, product.subject_key, "content_hash")
        write_rows(self._maps / product.name, copy_id, maker.parts(), names)
        index = self._state.run(lambda tx: self._entry(tx, act, source, copy_id, scope, key))
        opened = self._store.pinned(product.name, copy_id)
        if opened is None:
            raise UnavailableError("PRODUCT_UNAVAILABLE", "the copy is gone again")
        self._store.confirm(opened, act.now)
        self._store.library.activate(product.name, copy_id)
        self._store.current(product.name)  # opened already; so no request has to wait for it
        _log.info("border_copied", product=product.name, fields=len(scope.fields))
        return Copied(product.name, "copied", copy_id, scope.fields, index)

    def _entry(
        self, tx: Transaction, act: Act, source: Snapshot, copy_id: str, scope: Scope, key: bytes
    ) -> int:
        appended = tx.append(
            entries.border_copied(
                time=act.now,
                node=act.node,
                actor=act.actor,
                product=source.product,
                snapshot=copy_id,
                source=source.snapshot_id,
                fields=scope.fields,
                whitelists=scope.whitelists,
                key=key_name(key),
            )
        )
        return appended.index

    def _withdraw(self, name: str) -> Copied | None:
        """Take away the copies of a product of which nothing may cross any more."""
        home = self._store.directory / name
        if not home.is_dir():
            return None
        (home / POINTER).unlink(missing_ok=True)
        shutil.rmtree(home)
        return Copied(name, "withdrawn")

    def _retire(self, name: str, now: int) -> None:
        """Remove copies that can't serve any more, and the maps that no delivery needs."""
        home, current = self._store.directory / name, readable(self._store, name)
        for copy_id in self._store.library.kept(name):
            place = home / copy_id
            age = now - int(place.stat().st_mtime)
            if (current is not None and copy_id == current.snapshot_id) or age < self._keep_s:
                continue
            shutil.rmtree(place)
            if not self._delivered(copy_id):
                map_path(self._maps / name, copy_id).unlink(missing_ok=True)

    def _delivered(self, copy_id: str) -> bool:
        connection = self._state.connect()
        try:
            sql = "SELECT 1 FROM deliveries WHERE snapshot_id = ? LIMIT 1"
            return connection.execute(sql, (copy_id,)).fetchone() is not None
        finally:
            connection.close()

    def _scope(self, product: Product, now: int) -> Scope:
        return scope_of(product, self._view().whitelists, self._derived, now)

    def _key_name(self) -> str:
        try:
            return key_name(open_key(self._store.key_path))
        except XinguanError:
            return ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of the store; a process that dies lets go of it."""
        self._store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._store.directory / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UnavailableError(
                    "BORDER_COPY_BUSY",
                    "another process is copying now",
                    hints=("try again in a moment",),
                ) from None
            yield
