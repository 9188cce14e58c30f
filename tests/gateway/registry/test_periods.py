"""The table of periods as it is read from the policies."""

import datetime as dt

import pytest

from gateway.domain.period import BasisLevel, PeriodBasis, Severity, Term
from gateway.registry.periods import PeriodTableError, lawful_periods, load_periods


def test_the_shipped_table_holds_the_numbers_of_order_36():
    table = lawful_periods()
    assert table.terms[Severity.MINOR] == Term(None, 3)
    assert table.terms[Severity.GENERAL] == Term(3, 12)
    assert table.terms[Severity.SERIOUS] == Term(12, 36)
    assert Severity.NONE not in table.terms
    assert table.basis("judgement_debtor") is PeriodBasis.COURT
    assert table.basis("admin_penalty") is PeriodBasis.DOCUMENT
    assert table.override_levels == {BasisLevel.LAW, BasisLevel.ADMIN_REGULATION}
    assert table.unlabelled_before == dt.date(2026, 4, 1)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("version: 1\nterm: {}\n", "term"),
        ("version: 2\n", "version"),
        ("version: 1\nterms: {GRAVE: {min_months: 1, max_months: 2}}\n", "terms"),
        (": :\n  - [", "not a readable YAML file"),
    ],
)
def test_a_malformed_table_is_refused_and_the_field_named(tmp_path, text, field):
    path = tmp_path / "periods.yaml"
    path.write_text(text)
    with pytest.raises(PeriodTableError, match=field) as caught:
        load_periods(path)
    assert "periods.yaml" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(PeriodTableError):
        load_periods(tmp_path / "none.yaml")
