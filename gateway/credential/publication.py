"""The files of an issuer, as any static server can serve them; status lists as they change.

    DIR/.well-known/jwt-vc-issuer    issuer and keys
    DIR/jwks.json                    keys
    DIR/vct/<product>/<version>      what each claim means
    DIR/statuslists/<n>              a signed status list

Every process that publishes works from the state alone, so several may, each for its own folder.
A file is replaced as a whole: a reader has the old one or the new one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.credential.jws import Signer
from gateway.credential.metadata import LISTS_PATH, list_url
from gateway.credential.status_list import StatusBits, Times, list_token
from gateway.credential_settings import CredentialSettings
from gateway.store.migration import Statements

_RENEWALS = 2  # a list is signed anew so often within its ttl, changed or not


@dataclass(slots=True)
class _Published:
    """One list as it was last published."""

    bits: StatusBits
    changed: int
    at: int


class ListPublication:
    """Publishes the status lists of a state into a folder. Owner: the thread that calls it."""

    def __init__(self, folder: Path, signer: Signer, settings: CredentialSettings) -> None:
        """Take the folder, the key and the times; nothing is read yet.

        Args:
            folder: Where the files go.
            signer: The key that signs lists.
            settings: Issuer and times.
        """
        self._folder = folder
        self._signer = signer
        self._settings = settings
        self._lists: dict[int, _Published] = {}

    def publish(self, state: Statements, now: int) -> int:
        """Publish the lists that changed, or that were signed too long ago; return how many.

        Args:
            state: Reads the state.
            now: Unix seconds.
        """
        published = 0
        rows = state.execute("SELECT list, entries, changed FROM status_lists").fetchall()
        for number in self._lists.keys() - {row[0] for row in rows}:
            del self._lists[number]  # every credential of it has ended long ago
            (self._folder / LISTS_PATH / str(number)).unlink(missing_ok=True)
        for number, entries, changed in rows:
            known = self._lists.get(number)
            renew_s = self._settings.ttl_s / _RENEWALS
            if known and known.changed == changed and now < known.at + renew_s:
                continue
            held = known or _Published(StatusBits(entries), 0, now)
            # The number was read first: a change that comes between is published twice, not lost.
            held.bits.put(
                state.execute(
                    "SELECT place, status FROM credentials WHERE list = ? AND changed > ?",
                    (number, held.changed),
                ).fetchall()
            )
            self._write(number, held.bits, now)
            held.changed, held.at = changed, now
            self._lists[number] = held
            published += 1
        return published

    def _write(self, number: int, bits: StatusBits, now: int) -> None:
        settings = self._settings
        times = Times(now, settings.ttl_s, settings.list_lifetime_s)
        token = list_token(self._signer, list_url(settings.issuer, number), bits, times)
        replace_file(self._folder / LISTS_PATH / str(number), token.encode())


def write_documents(folder: Path, documents: Mapping[str, bytes]) -> None:
    """Write the documents that don't change while a gateway serves.

    Args:
        folder: Where they go.
        documents: Path below it to content.
    """
    for path, content in documents.items():
        replace_file(folder / path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Put a public file in place as a whole.

    A crash may leave the old one, which is signed and ends by itself; so nothing is synced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of this process's own: several may publish into one folder.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.chmod(0o644)
    beside.replace(path)
