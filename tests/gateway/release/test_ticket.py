import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.release.ticket import Ticket, seal, unseal

KEY = bytes(range(32))
TICKET = Ticket(b"a request", "ab" * 32, "cd" * 32, 3, 9, 1_000)
HOLDER = "uscc:91460099000000001X\nfingerprint"


def test_a_ticket_comes_back_as_it_was_sealed():
    assert unseal(seal(TICKET, KEY, HOLDER), KEY, HOLDER, 999) == TICKET


def test_two_seals_of_one_plan_look_different():
    assert seal(TICKET, KEY, HOLDER) != seal(TICKET, KEY, HOLDER)


def test_every_byte_is_sealed():
    blob = seal(TICKET, KEY, HOLDER)
    for position in range(len(blob)):
        altered = bytearray(blob)
        altered[position] ^= 1
        with pytest.raises(InvalidRequestError) as refusal:
            unseal(bytes(altered), KEY, HOLDER, 0)
        assert refusal.value.code == "BAD_TICKET"


@pytest.mark.parametrize("holder", [HOLDER + "x", "", "uscc:other\nfingerprint"])
def test_another_party_or_key_cannot_use_it(holder):
    with pytest.raises(InvalidRequestError) as refusal:
        unseal(seal(TICKET, KEY, HOLDER), KEY, holder, 0)
    assert refusal.value.code == "BAD_TICKET"


def test_it_ends_at_its_expiry():
    blob = seal(TICKET, KEY, HOLDER)
    with pytest.raises(InvalidRequestError) as refusal:
        unseal(blob, KEY, HOLDER, 1_000)
    assert refusal.value.code == "TICKET_EXPIRED"


@given(st.binary(max_size=200))
def test_garbage_is_not_a_ticket(blob):
    with pytest.raises(InvalidRequestError):
        unseal(blob, KEY, HOLDER, 0)
