"""Subjects as people type them: in the form that the log's labels are made of, or refused."""

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.doors.subject_name import canonical_subject
from tests.simulator import uscc

CODE = uscc(1)
LEI = "46009900SYNTHETIC053"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (CODE, CODE),
        (f"  {CODE.lower()} ", CODE),
        (f"uscc:{CODE}", CODE),
        (f"USCC:{CODE.lower()}", CODE),
        (f"LEI:{LEI}", f"lei:{LEI}"),
        ("reg:SG:202600000K", "reg:SG:202600000K"),
        ("person-token-0001", "person-token-0001"),
    ],
)
def test_a_subject_has_one_form(typed, meant):
    assert canonical_subject(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", "a\udcffb", "short", "uscc:", "460100199001011234", "x y z 1234"),
        *("reg:XX:1", "lei:1", f"lei:{LEI[:-1]}", CODE[:-1] + ("0" if CODE[-1] != "0" else "1")),
    ],
)
def test_what_no_request_could_name_is_refused(typed):
    with pytest.raises(InvalidRequestError) as caught:
        canonical_subject(typed)
    assert caught.value.code == "BAD_ID"
    assert typed.strip() == "" or typed not in str(caught.value)
