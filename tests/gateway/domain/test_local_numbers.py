import pytest

from gateway.domain.identifiers import MalformedIdentifierError, parse_local_number


@pytest.mark.parametrize(
    "text", ["SG:201900000R", "sg:00192200M", "MY:201901000005", "MY:12345-A", "TH:0105561000001"]
)
def test_numbers_that_hold(text):
    assert parse_local_number(text) == text.upper()


@pytest.mark.parametrize(
    "text", ["SG:201900000K", "SG:1", "MY:2019", "MY:201901000005X", "201900000R", "XYZ:1"]
)
def test_numbers_that_do_not(text):
    with pytest.raises(MalformedIdentifierError):
        parse_local_number(text)
