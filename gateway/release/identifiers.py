"""Request ids: 26 characters of Crockford's base 32, sortable by time (ULID layout)."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def request_id(milliseconds: int, randomness: bytes) -> str:
    """Return a request id.

    Args:
        milliseconds: Unix milliseconds, 48 bits.
        randomness: 10 random bytes.
    """
    value = (milliseconds << 80) | int.from_bytes(randomness, "big")
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
