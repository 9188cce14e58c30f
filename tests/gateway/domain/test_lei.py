"""Legal entity identifiers (ISO 17442): 18 characters, two check digits, nothing else."""

import pytest

from gateway.domain.identifiers import MalformedIdentifierError, parse_lei

LEI = "46009900SYNTHETIC053"


def test_a_code_has_one_form():
    assert parse_lei(f" {LEI.lower()} ") == LEI


@pytest.mark.parametrize("text", ["", "1", "98", LEI[:-1], f"{LEI}0", "0" * 18 + "97", f"0{LEI}"])
def test_check_digits_alone_make_no_identifier(text):
    with pytest.raises(MalformedIdentifierError):
        parse_lei(text)
