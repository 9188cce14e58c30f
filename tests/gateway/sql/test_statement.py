import logging

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError, NotSupportedError
from gateway.sql.literals import Kind, Literal, Parameter
from gateway.sql.statement import Comparison, Statement, parse, rows_of

MAX_BYTES = 16 << 10
SECRET = "91460099MA24NL1P8F"


def text(value):
    return Literal(Kind.TEXT, value)


def numeral(value):
    return Literal(Kind.NUMBER, value)


def test_everything_that_a_statement_can_say():
    statement = parse(
        """SELECT uscc, "name", p.fine_10k FROM xinguan.public.p
        WHERE uscc IN ('A', ?) AND (fine_10k >= 1.5 AND 10 > fine_10k)
          AND decided_on BETWEEN DATE '2020-01-01' AND ? AND kind <> 'it''s' AND open = TRUE
        ORDER BY uscc ASC, record_id LIMIT ?;""",
        MAX_BYTES,
    )
    assert statement.table == "p"
    assert statement.columns == ("uscc", "name", "fine_10k")
    assert statement.comparisons == (
        Comparison("uscc", "in", (text("A"), Parameter(0))),
        Comparison("fine_10k", "ge", (numeral("1.5"),)),
        Comparison("fine_10k", "lt", (numeral("10"),)),
        Comparison("decided_on", "ge", (Literal(Kind.DATE, "2020-01-01"),)),
        Comparison("decided_on", "le", (Parameter(1),)),
        Comparison("kind", "ne", (text("it's"),)),
        Comparison("open", "eq", (Literal(Kind.BOOLEAN, "true"),)),
    )
    assert statement.order == ("uscc", "record_id")
    assert statement.limit == Parameter(2)
    assert statement.parameters == 3


def test_names_without_quotes_are_folded_and_others_are_not():
    statement = parse('SELECT USCC, "Name" FROM Legal_Entity_Base', MAX_BYTES)
    assert statement.columns == ("uscc", "Name")
    assert statement.table == "legal_entity_base"


def test_a_star_is_every_granted_column():
    assert parse("SELECT * FROM t", MAX_BYTES).columns is None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT a FROM t, u",
        "SELECT a FROM t JOIN u ON t.a = u.a",
        "SELECT a FROM t CROSS JOIN u",
        "SELECT a FROM t, LATERAL u",
        "SELECT a FROM (SELECT a FROM t)",
        "SELECT a FROM t UNION SELECT a FROM u",
        "SELECT a FROM t EXCEPT SELECT a FROM u",
        "WITH q AS (SELECT a FROM t) SELECT a FROM q",
        "SELECT a FROM t WHERE a IN (SELECT a FROM u)",
        "SELECT a FROM t WHERE EXISTS (SELECT a FROM u)",
        "SELECT a FROM t WHERE a = (SELECT a FROM u)",
        "SELECT (SELECT a FROM u) FROM t",
        "SELECT count(*) FROM t",
        "SELECT max(a) FROM t",
        "SELECT upper(a) FROM t",
        "SELECT a + 1 FROM t",
        "SELECT 'a' FROM t",
        "SELECT a AS b FROM t",
        "SELECT a FROM t AS x",
        "SELECT a FROM t x",
        "SELECT a, a FROM t",
        "SELECT t.* FROM t",
        "SELECT * EXCEPT (a) FROM t",
        "SELECT a FROM f(1)",
        "SELECT a FROM t TABLESAMPLE (10)",
        "SELECT a FROM t FOR UPDATE",
        "SELECT a FROM t FOR SYSTEM_TIME AS OF '2020-01-01'",
        "SELECT a FROM t WITH (NOLOCK)",
        "SELECT a INTO u FROM t",
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t GROUP BY a",
        "SELECT a FROM t GROUP BY a HAVING a > 1",
        "SELECT a FROM t QUALIFY row_number() OVER () = 1",
        "SELECT a FROM t WINDOW w AS ()",
        "SELECT a FROM t WHERE a = 1 OR b = 2",
        "SELECT a FROM t WHERE NOT a = 1",
        "SELECT a FROM t WHERE a NOT IN (1)",
        "SELECT a FROM t WHERE a IS NULL",
        "SELECT a FROM t WHERE a LIKE 'x%'",
        "SELECT a FROM t WHERE a <=> 1",
        "SELECT a FROM t WHERE a = b",
        "SELECT a FROM t WHERE a = b + 1",
        "SELECT a FROM t WHERE a = 'x' || 'y'",
        "SELECT a FROM t WHERE a = 'x' COLLATE nocase",
        "SELECT a FROM t WHERE lower(a) = 'x'",
        "SELECT a FROM t WHERE CAST(a AS INT) = 1",
        "SELECT a FROM t WHERE a = CAST('1' AS INT)",
        "SELECT a FROM t WHERE a = CAST(b AS DATE)",
        "SELECT a FROM t WHERE (a, b) IN ((1, 2))",
        "SELECT a FROM t WHERE a = NULL",
        "SELECT a FROM t WHERE a = :name",
        "SELECT a FROM t WHERE a = $1",
        "SELECT a FROM t WHERE a = @x",
        "SELECT a FROM t WHERE TRUE",
        "SELECT a FROM t WHERE 1 = 1",
        "SELECT a FROM t ORDER BY a DESC",
        "SELECT a FROM t ORDER BY 1",
        "SELECT a FROM t ORDER BY rand()",
        "SELECT a FROM t LIMIT 5 OFFSET 2",
        "SELECT a FROM t LIMIT 5 PERCENT",
        "SELECT a FROM t FETCH FIRST 5 ROWS ONLY",
        "SELECT a FROM t LIMIT (SELECT 1)",
        "SELECT a FROM t LIMIT 1 + 1",
        "SELECT a FROM t; DROP TABLE t",
        "SELECT a FROM t; SELECT a FROM t",
        "SELECT a FROM t -- WHERE a = 1",
        "SELECT a /* b */ FROM t",
        "SELECT /*+ full(t) */ a FROM t",
        "SELECT a FROM t WHERE a = 1 /*! OR 1 = 1 */",
        "EXPLAIN SELECT a FROM t",
        "DESCRIBE t",
        "SHOW TABLES",
        "PRAGMA database_list",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u AS SELECT a FROM t",
        "COPY t TO 'file'",
        "ATTACH 'file' AS u",
        "SET a = 1",
        "CALL f()",
        "BEGIN",
        "FROM t",
        "(SELECT a FROM t)",
        "",
        ";",
    ],
)
def test_everything_else_is_said_to_be_unsupported(statement):
    with pytest.raises(NotSupportedError) as refusal:
        parse(statement, MAX_BYTES)
    assert refusal.value.code == "NOT_SUPPORTED"
    assert refusal.value.grpc_code == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT a FROM t WHERE a = 'x",
        "SELECT a FROM",
        "SELECT FROM WHERE",
        "SELECT a FROM t WHERE a = 1e5",
        "SELECT a FROM t WHERE",
        "SELECT a FROM t LIMIT",
        "SELECT " + "NOT " * 3_000 + "a FROM t",
        "SELECT a FROM t WHERE " + "(" * 17 + "a = 1" + ")" * 17,
        "SELECT a FROM t WHERE " + " AND ".join(["a = 1"] * 33),
        "SELECT a FROM t WHERE a = '" + "x" * MAX_BYTES + "'",
        "SELECT a FROM t WHERE a IN (" + "-" * 5_000 + "1)",
    ],
)
def test_what_is_no_sql_or_too_much_of_it_is_refused(statement):
    with pytest.raises((InvalidRequestError, NotSupportedError)):
        parse(statement, MAX_BYTES)


@pytest.mark.parametrize("word", ["DATE", "DECIMAL", "STRUCT", "f"])
@pytest.mark.parametrize(("begin", "end"), [("(", ")"), ("(a, ", ")"), (" (", ")"), ("[", "]")])
def test_what_the_parser_reads_twice_at_every_level_never_reaches_it(word, begin, end, monkeypatch):
    def reached(*_):
        pytest.fail("forty levels would take it years")

    monkeypatch.setattr("gateway.sql.statement.Dialect.parser", reached)
    for inside in ("WHERE a = {}", "WHERE a IN ({})", "WHERE ({} = a)", "LIMIT {}"):
        nested = inside.format(f"{word}{begin}" * 40 + "1" + end * 40)
        with pytest.raises((InvalidRequestError, NotSupportedError)):
            parse(f"SELECT a FROM t {nested}", MAX_BYTES)


def test_groups_in_groups_and_a_cast_in_a_list_are_read():
    statement = parse(
        "SELECT a FROM t"
        " WHERE ((a IN (CAST('2020-01-01' AS DATE), DATE '2020-01-02')) AND (b = 1))",
        MAX_BYTES,
    )
    assert [each.op for each in statement.comparisons] == ["in", "eq"]


@pytest.mark.parametrize("name", ["other.public.t", "public2.t", '"x".t'])
def test_other_catalogs_do_not_exist(name):
    with pytest.raises(InvalidRequestError) as refusal:
        parse(f"SELECT a FROM {name}", MAX_BYTES)
    assert refusal.value.code == "UNKNOWN_PRODUCT"


def test_a_column_of_another_table_does_not_exist():
    with pytest.raises(InvalidRequestError) as refusal:
        parse("SELECT u.a FROM t", MAX_BYTES)
    assert refusal.value.code == "UNKNOWN_FIELD"


@pytest.mark.parametrize("limit", ["-1", "1.5", str(2**63)])
def test_a_limit_is_a_whole_number(limit):
    with pytest.raises(InvalidRequestError):
        rows_of(numeral(limit))
    assert rows_of(numeral("0")) == 0
    assert rows_of(numeral(str(2**63 - 1))) == 2**63 - 1


TOKENS = st.sampled_from(
    [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "BETWEEN", "ORDER BY", "LIMIT",
        "NULL", "IS", "CAST", "AS", "DATE", "UNION", "JOIN", "ON", "CASE", "WHEN", "END", "WITH",
        "*", ",", "(", ")", "[", "]", "{", "}", "=", "<>", "<", ">=", "||", "::", "->", ";", "?",
        ":x", "@x", "$1", "--", "/*", "*/", "'", '"', "`", "\\", "''", "a", "t", "public", "uscc",
        f"'{SECRET}'", "1", "-1", "1.5", "0x1F", "1e9", "TRUE", "DATE '2020-01-01'", "\x00", "信",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=30).map(" ".join) | st.text(max_size=200))
@example("SELECT a FROM t WHERE a = '\\' OR 1=1 --'")
@example("SELECT a FROM t WHERE a = U&'\\0041'")
def test_no_text_makes_the_reader_stumble(statement):
    for candidate in (statement, "SELECT a FROM t WHERE " + statement, "SELECT " + statement):
        outcome = parsed_or_refused(candidate)
        if isinstance(outcome, Statement):
            assert outcome.table
        else:
            assert SECRET not in outcome.message + " ".join(outcome.hints)


def parsed_or_refused(statement):
    try:
        return parse(statement, MAX_BYTES)
    except (InvalidRequestError, NotSupportedError) as refusal:
        return refusal


@pytest.mark.parametrize(
    "statement", [f"SELECT a FROM t WHERE a = '{SECRET}' PIVOT", f"EXPLAIN SELECT '{SECRET}'"]
)
def test_statements_do_not_reach_the_log_of_the_node(statement, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises((InvalidRequestError, NotSupportedError)):
        parse(statement, MAX_BYTES)
    assert SECRET not in caplog.text
