"""Entries for tests of the journal, and what of them is stored."""

import contextlib

from audit.sequence import read_bodies


def entry(number):
    """Return an entry of no kind that the product writes."""
    return {"v": 1, "kind": "test", "time": 1, "node": "n", "number": number}


def stored(place):
    """Return index, leaf hash and body of every entry."""
    with contextlib.closing(place.store().connect()) as reader:
        return read_bodies(reader, 0, 1 << 40)


def numbers(place):
    """Return index and body of every entry."""
    return [(index, body) for index, _, body in stored(place)]
