import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.registry.act import stated_reason
from tests.simulator import uscc


@pytest.mark.parametrize("text", ["", "  ", "异议核查中", "audit finding 2026-11, see case 4711"])
def test_a_reason_stands_as_it_was_stated(text) -> None:
    assert stated_reason(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        f"because of {uscc(7)}",
        "person 11010519491231002X",
        "call 13800001111",
        "x" * 201,
        "two\nlines",
        "bell\x07",
    ],
)
def test_a_reason_that_names_somebody_or_has_no_form_is_refused(text) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        stated_reason(text)
    assert refused.value.code == "BAD_REQUEST"
    assert text not in str(refused.value)


@given(st.integers(0, 10**6), st.text(max_size=20), st.text(max_size=20))
def test_no_organisations_code_passes(number, before, after) -> None:
    with pytest.raises(InvalidRequestError):
        stated_reason(f"{before} {uscc(number % 900)} {after}")
