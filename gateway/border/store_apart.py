"""The store apart (M58): what may cross, copied, under a key of its own; abroad reads nothing else.

    <directory>/<product>/<copy id>/    one copy, every file of it sealed
    <directory>/<product>/current       the id of the one that is served
    <directory>/<product>/<copy id>/checked
                                        sealed: when the copy last agreed with what is served
                                        at home

This is the reading side. It opens no domestic file. A copy serves only while it was found to
agree with the domestic records lately, or was made lately: a job that has died, or records that
the job can't read, close the way abroad by themselves, by name, and never let it grow stale.
"""

import json
import os
import secrets
from collections.abc import Callable, Collection
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.border.store_apart_snapshot import ApartSnapshot
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.identity.keyfiles import KeyFileError, read_secret
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.library import SealedKeys, SnapshotLibrary
from gateway.snapshot.sealed_files import SealedFiles, derive_key
from gateway.snapshot.snapshot import Snapshot

CHECKED = "checked"
_CHECKED_TAG = b"xinguan/border-checked/v1\n"
_NONCE_BYTES = 12
_LEEWAY_S = 5  # of another process's clock ahead of ours
_Mark = tuple[int, int]


class StoreApart:
    """The copies that requests from abroad are answered from. Thread-safe as the library is.

    Args:
        directory: Where the copies are.
        key_path: The file of the store's key; it is read whenever a copy is opened.
        sealed_keys: Product name to the record keys that are sealed now, from durable state.
        prepare: Labels and withholds what durable state says besides, before a copy serves.
        age_limit_s: How long a copy serves after it last agreed with the domestic records.
    """

    def __init__(
        self,
        directory: Path,
        key_path: Path,
        sealed_keys: SealedKeys | None = None,
        *,
        prepare: Callable[[Snapshot], None] | None = None,
        age_limit_s: int,
    ) -> None:
        self.directory = directory
        self.key_path = key_path
        self._age_limit_s = age_limit_s
        self.library = SnapshotLibrary(
            directory, sealed_keys, prepare=prepare, opener=self._open_copy
        )
        self._checked: dict[str, tuple[_Mark, int]] = {}

    def current(self, product: str) -> ApartSnapshot | None:
        """Return the copy that is served now, or None when the product has none.

        Raises:
            SnapshotDamagedError: It is damaged, or the key is not there; nothing is served.
        """
        found = self.library.current(product)
        return found if isinstance(found, ApartSnapshot) else None

    def pinned(self, product: str, snapshot_id: str) -> ApartSnapshot | None:
        """Return one copy by its id, current or not, or None when it is no longer kept.

        Raises:
            SnapshotDamagedError: It is there and damaged.
        """
        found = self.library.pinned(product, snapshot_id)
        return found if isinstance(found, ApartSnapshot) else None

    def check_fresh(self, snapshot: Snapshot, limit_s: int, now: int) -> None:
        """Check that a copy agreed with the domestic records lately enough.

        Args:
            snapshot: The copy.
            limit_s: A shorter limit of the product, or 0.
            now: Unix seconds.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE`; asked for each request and each batch.
        """
        limit = min(limit_s or self._age_limit_s, self._age_limit_s)
        checked = self.checked_at(snapshot)
        if checked is None or not -_LEEWAY_S <= now - checked <= limit:
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE",
                "the copy for use abroad is older than its limit, or was never confirmed",
                hints=("ask again later; the operator runs: xinguan border copy",),
            )

    def check_holds(
        self, snapshot: Snapshot, columns: Collection[str], tested: Collection[str]
    ) -> None:
        """Check that a copy may release, and can answer, what was planned.

        A whitelist that was extended a moment ago, or a policy that lets too much leave, finds
        nothing here: only fields that were whitelisted when the copy was made ever leave it.

        Args:
            snapshot: The copy.
            columns: Columns of the plan.
            tested: Columns by which the policy withholds rows.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE`.
        """
        may_leave = snapshot.releasable if isinstance(snapshot, ApartSnapshot) else frozenset()
        if not may_leave.issuperset(columns) or not set(tested) <= set(snapshot.schema.names):
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE",
                "the copy for use abroad doesn't hold what was decided yet",
                hints=("ask again in a moment",),
            )

    def checked_at(self, snapshot: Snapshot) -> int | None:
        """Return when a copy last agreed with the domestic records, in unix seconds, or None."""
        path = f"{snapshot.directory}/{CHECKED}"
        try:
            found = os.stat(path)  # noqa: PTH116 - per call
        except OSError:
            return None
        mark = found.st_ino, found.st_mtime_ns
        kept = self._checked.get(snapshot.snapshot_id)
        if kept is None or kept[0] != mark:
            kept = mark, self._read_checked(snapshot)
            self._checked[snapshot.snapshot_id] = kept
        return kept[1]

    def confirm(self, snapshot: ApartSnapshot, now: int) -> None:
        """State that a copy agrees with the domestic records at a time. The job's alone."""
        nonce = os.urandom(_NONCE_BYTES)
        stated = json.dumps({"copy": snapshot.snapshot_id, "at": now}).encode()
        sealed = nonce + _cipher(snapshot).encrypt(nonce, stated, _CHECKED_TAG)
        fresh = snapshot.directory / f".{CHECKED}-{secrets.token_hex(8)}"
        fresh.write_bytes(sealed)
        fresh.replace(snapshot.directory / CHECKED)

    def _read_checked(self, snapshot: Snapshot) -> int:
        if not isinstance(snapshot, ApartSnapshot):
            return -1
        try:
            sealed = (snapshot.directory / CHECKED).read_bytes()
            nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            stated = json.loads(_cipher(snapshot).decrypt(nonce, content, _CHECKED_TAG))
        except (OSError, InvalidTag, ValueError):
            return -1
        return int(stated["at"]) if stated["copy"] == snapshot.snapshot_id else -1

    def _open_copy(self, place: Path) -> Snapshot:
        try:
            key = read_secret(self.key_path)
        except KeyFileError:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the key of the store apart is not there"
            ) from None
        return ApartSnapshot.open(place, files=SealedFiles(place, key))


def readable(store: StoreApart, product: str) -> ApartSnapshot | None:
    """Return the current copy, or None when there is none that can be read."""
    try:
        return store.current(product)
    except (XinguanError, OSError):
        return None


def _cipher(snapshot: ApartSnapshot) -> AESGCM:
    return AESGCM(derive_key(snapshot.files.store_key, snapshot.files.salt, CHECKED))
