"""A snapshot of the store apart: the copy of a product's records that may cross.

It holds the fields that a whitelist in effect names and, beside them, only what the gate needs to
withhold a row. Its subjects and records are keyed tokens: whoever has the files and not the key
finds nobody in them, and whoever has both still finds no record id that may not cross.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from gateway.snapshot.bitmap import Rows
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.index import RecordKeys, as_texts
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.sealed_files import SealedFiles, derive_key
from gateway.snapshot.snapshot import Snapshot

COPY = "xinguan/border-copy/v1"
# Names that no contract can have: a field's name is snake_case.
SUBJECT, RECORD = "xinguan.subject", "xinguan.record"
_TOKEN_BYTES = 16
_NO_SALT = b"\0" * 32


@dataclass(frozen=True, slots=True)
class CopyStatement:
    """What a copy was made of; it is part of the manifest, so the snapshot's id pins it.

    Args:
        source: Id of the domestic snapshot.
        fields: Fields that may leave, sorted.
        bits: SHA-256 of the domestic rows that were copied, as packed bits, hex.
    """

    source: str
    fields: tuple[str, ...]
    bits: str

    def to_text(self) -> str:
        """Return it as the manifest holds it."""
        stated = {"v": COPY, "source": self.source, "fields": self.fields, "bits": self.bits}
        return json.dumps(stated, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the statement of a manifest.

        Raises:
            SnapshotDamagedError: It is none: a domestic snapshot doesn't serve abroad.
        """
        try:
            stated = json.loads(text)
            if stated["v"] == COPY:
                fields = tuple(str(name) for name in stated["fields"])
                return cls(str(stated["source"]), fields, str(stated["bits"]))
        except (ValueError, KeyError, TypeError):
            pass
        raise SnapshotDamagedError("PRODUCT_UNAVAILABLE", "this is no copy of the store apart")


class Tokens:
    """Keyed names of subjects and records, the same as long as the store's key is."""

    def __init__(self, store_key: bytes) -> None:
        """Derive the key of tokens."""
        # Begun once and copied for each text: `hmac.digest` gives up the interpreter's lock, and
        # beside a busy writer winning it back costs a hundred times the digest.
        self._begun = hmac.new(derive_key(store_key, _NO_SALT, "tokens"), digestmod="sha256")

    def of(self, texts: Sequence[str]) -> list[str]:
        """Return the token of each text."""
        return [self._token(text.encode("utf-8", "surrogatepass")) for text in texts]

    def _token(self, text: bytes) -> str:
        begun = self._begun.copy()
        begun.update(text)
        return begun.digest()[:_TOKEN_BYTES].hex()


class ApartSnapshot(Snapshot):
    """An open copy; asked for subjects and records by their own names, as any snapshot is."""

    def __init__(self, directory: Path, manifest: Manifest, files: SealedFiles) -> None:
        """Open what the manifest names.

        Raises:
            SnapshotDamagedError: It is no copy of the store apart.
        """
        super().__init__(directory, manifest, files)
        self.copied = CopyStatement.parse(manifest.source_version)
        self.releasable = frozenset(self.copied.fields)
        self.files = files
        self._tokens = Tokens(files.store_key)

    @property
    def origin(self) -> str:
        """Id of the domestic snapshot that was copied."""
        return self.copied.source

    def locate(self, subjects: Sequence[str]) -> Rows:
        """Return the row numbers of these subjects, ascending, without a scan."""
        return super().locate(self._tokens.of(subjects))

    def runs(self, subjects: Any) -> tuple[Rows, Rows]:
        """Return first row and number of rows of each subject of an Arrow column, in its order."""
        return super().runs(pa.array(self._tokens.of(subjects.to_pylist()), pa.string()))

    def rows_of(self, record_keys: RecordKeys) -> Rows:
        """Return every row of exactly these records, ascending."""
        return super().rows_of(self._tokens.of(as_texts(record_keys)))
