import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from gateway.inbound.vault import Vault

VAULT = Vault(b"k" * 32)


@given(
    st.text(min_size=1, max_size=40),
    st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=40)),
)
def test_what_is_sealed_opens_for_its_record_alone(key, content):
    sealed = VAULT.seal(key, content)
    assert VAULT.open(key, sealed) == content
    assert sealed != VAULT.seal(key, content)
    with pytest.raises(InvalidTag):
        VAULT.open(key + "x", sealed)
    with pytest.raises(InvalidTag):
        Vault(b"o" * 32).open(key, sealed)


def test_labels_are_keyed_and_of_one_firm():
    assert VAULT.label("lei:A") == VAULT.label("lei:A") != VAULT.label("lei:B")
    assert VAULT.label("lei:A") != Vault(b"o" * 32).label("lei:A")
    assert "lei" not in VAULT.label("lei:A")
    assert "kkkk" not in repr(VAULT)
