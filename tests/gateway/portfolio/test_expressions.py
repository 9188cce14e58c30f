"""The language of features: what isn't in it is refused, and nothing of it is ever run."""

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.portfolio.expressions import ExpressionError, parse_expression
from gateway.portfolio.subjects import checked, read_portfolio
from tests.gateway.portfolio.world import CATALOGUE
from tests.simulator import uscc

PENALTIES = CATALOGUE.product("admin_penalty")
TODAY = 20_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "count(",
        "1",
        "count",
        "sum(fine_10k)",
        "count(severity == 'WORST')",
        "count(no_such_column == 'x')",
        "count(not severity == 'SERIOUS')",
        "count(severity)",
        "count(severity < 'SERIOUS')",
        "count(severity == 3)",
        "count(severity in 'SERIOUS')",
        "count(decided_on == '2026-01-01')",
        "count(decided_on > months_before(0))",
        "count(decided_on > months_before(99999))",
        "count(decided_on > months_before(-1))",
        "count(decided_on > years_before(1))",
        "count(decided_on in (observed,))",
        "count(fine_10k > 3)",
        "count(decided_on > observed, decided_on > observed)",
        "ratio(decided_on > observed)",
        "mean(severity)",
        "mean()",
        "months_since(severity)",
        "latest()",
        "count(where=decided_on > observed)",
        "__import__('os').system('true')",
        "count(__import__('os'))",
        "count((lambda: 1)() == 1)",
        "(" * 10_000,
    ],
)
def test_what_is_not_in_the_language_is_refused(text):
    with pytest.raises(ExpressionError):
        parse_expression(text, PENALTIES)


def test_an_expression_says_which_columns_it_reads():
    found = parse_expression(
        "mean(fine_10k, severity in ('SERIOUS', 'GENERAL') and decided_on > months_before(6))",
        PENALTIES,
    )
    assert (found.aggregate, found.column) == ("mean", "fine_10k")
    assert found.columns == ("decided_on", "fine_10k", "severity")


def test_a_portfolio_is_sorted_and_each_observation_stands_once():
    codes = sorted(uscc(n) for n in range(900_000, 900_003))
    made = checked([codes[1], codes[0], codes[1], codes[1]], [None, "", None, "2001-01-01"], TODAY)
    assert made.subjects.to_pylist() == [codes[0], codes[1], codes[1]]
    assert made.observed[-1] == TODAY
    assert (made.starts.tolist(), made.counts.tolist()) == ([0, 1], [1, 2])
    assert not made.once


@pytest.mark.parametrize(
    ("codes", "dates", "rows"),
    [
        (["X", None], None, ["row 1", "row 2"]),
        ([uscc(900_001)], ["2999-01-01"], ["row 1"]),
        ([uscc(900_001)], ["yesterday"], ["row 1"]),
        ([uscc(900_001), "91460099MA00000000"], None, ["row 2"]),
        ([], None, ["the portfolio is empty"]),
    ],
)
def test_malformed_rows_are_named_and_never_shown(codes, dates, rows):
    with pytest.raises(InvalidRequestError) as caught:
        checked(codes, dates, TODAY)
    assert list(caught.value.hints) == rows
    assert "91460099" not in str(caught.value)


def test_a_file_that_is_no_portfolio_is_refused(tmp_path):
    for name, content in (("a.csv", b"code\nx\n"), ("b.parquet", b"PAR1"), ("c.csv", b"\xff\xfe")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidRequestError):
            read_portfolio(tmp_path / name, TODAY)
    with pytest.raises(InvalidRequestError):
        read_portfolio(tmp_path / "missing.csv", TODAY)
