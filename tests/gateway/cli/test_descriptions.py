"""What people write as descriptions and times: taken as meant, or refused in words."""

from datetime import UTC, datetime

import pytest

from gateway.cli.descriptions import parse_instant, read_claims
from gateway.registry.documents import BadDocumentError
from gateway.registry.licences import LicenceClaims

NEW_YEAR = int(datetime(2026, 12, 31, 16, tzinfo=UTC).timestamp())  # midnight in Hainan


@pytest.mark.parametrize(
    "text",
    ["2027-01-01", "20270101", "2027-01-01T00:00:00+08:00", "2026-12-31T16:00:00Z", str(NEW_YEAR)],
)
def test_a_moment_in_each_of_its_forms(text):
    assert parse_instant(text) == NEW_YEAR


def test_zero_is_from_the_beginning():
    assert parse_instant("0") == 0


@pytest.mark.parametrize(
    "text", ["", "soon", "1", "2027", "20271332", "9" * 5_000, "-5", "٢٠٢٧٠١٠١", "1e9", "1e400"]
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(BadDocumentError, match="unix seconds"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.yaml", "x: !!binary aGVsbG8="),
        ("x.yaml", "x: !!set {a, b}"),
        ("x.yaml", "x: !!int ''"),
        ("x.yaml", "x: !!timestamp 'x'"),
        ("x.yaml", "x: &a [*a]"),
        ("x.yaml", "[" * 3_000),
        ("x.json", "[" * 100_000),
        ("x.json", '{"licence_id": "\\ud800"}'),
        ("x.toml", "x = 10:20:30"),
        ("x.toml", "x = " + "[" * 3_000),
        ("x.yaml", "not_before: 2027"),
    ],
)
def test_a_description_that_no_document_can_hold_is_refused(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadDocumentError):
        read_claims(path, LicenceClaims, {})
