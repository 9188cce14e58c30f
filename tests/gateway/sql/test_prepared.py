import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.sql import prepared
from gateway.sql.literals import Kind, Literal
from gateway.sql.prepared import Prepared

KEY = bytes(range(32))
LITERALS = st.builds(Literal, st.sampled_from(Kind), st.text(max_size=20))


@given(st.text(max_size=50), st.lists(LITERALS, max_size=4).map(tuple))
def test_a_handle_holds_what_was_sealed(text, parameters):
    kept = Prepared(text, parameters, 100)
    assert prepared.unseal(prepared.seal(kept, KEY, "me"), KEY, "me", 99) == kept


@given(st.data())
def test_no_byte_of_a_handle_can_be_changed(data):
    sealed = bytearray(prepared.seal(Prepared("SELECT", (), 100), KEY, "me"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidRequestError) as refusal:
        prepared.unseal(bytes(sealed), KEY, "me", 99)
    assert refusal.value.code == "BAD_TICKET"


def test_a_handle_is_of_one_holder_and_of_its_time():
    sealed = prepared.seal(Prepared("SELECT", (), 100), KEY, "me")
    for holder, now, code in (("you", 99, "BAD_TICKET"), ("me", 100, "TICKET_EXPIRED")):
        with pytest.raises(InvalidRequestError) as refusal:
            prepared.unseal(sealed, KEY, holder, now)
        assert refusal.value.code == code


def test_a_ticket_is_no_handle_and_a_handle_no_ticket():
    from gateway.release import ticket

    handle = prepared.seal(Prepared("SELECT", (), 100), KEY, "me")
    with pytest.raises(InvalidRequestError):
        ticket.unseal(b"XT1" + handle[3:], KEY, "me", 1)
    plan = ticket.seal(ticket.Ticket(b"", "00" * 32, "00" * 32, 0, 1, 100), KEY, "me")
    with pytest.raises(InvalidRequestError):
        prepared.unseal(b"XS1" + plan[3:], KEY, "me", 1)
