"""Sealing again, before a snapshot serves, all that was ever sealed (R27); it may be millions."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa

_THREADS: Final = 2
# Never texts alone, of which each would be taken for a page of letters.
SealedPage = list[str] | pa.LargeStringArray


def seal_pages(seal: Callable[[SealedPage], object], pages: Iterable[SealedPage]) -> None:
    """Seal every page, two at a time: a database and NumPy leave the interpreter while they work.

    Args:
        seal: Seals one page; safe to call from several threads, and in any order.
        pages: The pages; read by one thread at a time, no more than are being sealed.

    Raises:
        Exception: What reading or sealing a page raised; others may have been sealed.
    """
    coming = iter(pages)
    first = next(coming, None)
    if first is None:
        return
    reading = threading.Lock()

    def seal_from(page: SealedPage | None) -> None:
        while page is not None:
            seal(page)
            with reading:
                page = next(coming, None)

    def begin() -> None:
        with reading:
            page = next(coming, None)
        seal_from(page)

    with ThreadPoolExecutor(_THREADS - 1, "sealing") as pool:
        others = pool.submit(begin)
        seal_from(first)
        others.result()
