import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import (
    InternalError,
    InvalidRequestError,
    NotSupportedError,
    XinguanError,
)
from gateway.doors.ask import Ask
from gateway.registry.arrow_schema import arrow_schema
from gateway.release.rows import compile_rows
from gateway.sql.literals import Kind, Literal, of_python
from gateway.sql.question import Filter, ask, parameter_names
from gateway.sql.statement import parse
from tests.simulator import make_product, uscc
from xinguan.v1 import exchange_pb2, types_pb2

PRODUCT = make_product()
GRANTED = tuple(name for name in PRODUCT.fields if name != "contact_phone")


def asked(text, *parameters, granted=GRANTED):
    values = tuple(of_python(value) for value in parameters)
    return ask(parse(text, 16 << 10), PRODUCT, granted, values)


def test_a_star_is_the_granted_fields():
    question = asked("SELECT * FROM legal_entity_base")
    assert question.fields == GRANTED
    assert not question.named


def test_codes_of_the_subject_key_are_subjects_and_everything_else_is_a_filter():
    question = asked(
        "SELECT name FROM legal_entity_base WHERE uscc IN (?, ?) AND registered_capital > 5",
        uscc(1),
        uscc(2),
    )
    assert question.subjects == (uscc(1), uscc(2))
    assert question.filters == (Filter("registered_capital", "gt", ("5",)),)
    assert question.fields == ("name",)


def test_a_range_of_the_subject_key_is_a_filter():
    question = asked("SELECT name FROM legal_entity_base WHERE uscc > 'A'")
    assert question.subjects == ()
    assert question.filters == (Filter("uscc", "gt", ("A",)),)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT contact_phone FROM legal_entity_base",
        "SELECT nothing_like_it FROM legal_entity_base",
        "SELECT name FROM legal_entity_base WHERE contact_phone = 'x'",
        "SELECT name FROM legal_entity_base WHERE nothing_like_it = 'x'",
        "SELECT name FROM legal_entity_base WHERE nothing_like_it = ?",
    ],
)
def test_a_field_of_others_looks_like_none_at_all(text):
    with pytest.raises(InvalidRequestError) as refusal:
        asked(text)
    assert refusal.value.code == "UNKNOWN_FIELD"
    assert "contact_phone" not in refusal.value.message


@pytest.mark.parametrize(
    "condition",
    [
        "name = 5", "registered_capital = '5'", "dispute_flag = 'true'", "dispute_flag = 1",
        "established_on = 20200101", "uscc = 5", "uscc IN ()", "name = DATE '2020-01-01'",
        "name = ?", "name = 'a\x00b'",
    ],
)  # fmt: skip
def test_a_value_has_the_type_of_its_column_and_is_there(condition):
    with pytest.raises(InvalidRequestError):
        asked(f"SELECT name FROM legal_entity_base WHERE {condition}")


@pytest.mark.parametrize("order", ["name", "record_id", "uscc, name", "record_id, uscc"])
def test_rows_are_ordered_by_the_keys_as_they_are_kept(order):
    with pytest.raises(NotSupportedError):
        asked(f"SELECT * FROM legal_entity_base ORDER BY {order}")
    assert asked("SELECT * FROM legal_entity_base ORDER BY uscc, record_id").ordered


def test_an_order_that_nobody_could_check_is_refused():
    with pytest.raises(NotSupportedError):
        asked("SELECT name FROM legal_entity_base ORDER BY uscc")


def test_subjects_are_named_once():
    with pytest.raises(NotSupportedError):
        asked(f"SELECT name FROM legal_entity_base WHERE uscc = '{uscc(1)}' AND uscc = '{uscc(2)}'")


def test_a_limit_of_nothing_is_no_limit_left_out():
    assert asked("SELECT name FROM legal_entity_base LIMIT 0").limit == 0
    assert asked("SELECT name FROM legal_entity_base").limit is None
    assert asked("SELECT name FROM legal_entity_base LIMIT ?", 7).limit == 7


def test_parameters_are_known_by_the_column_they_meet():
    statement = parse(
        "SELECT name FROM legal_entity_base WHERE established_on > ? AND name IN (?, ?) LIMIT ?",
        1_000,
    )
    names = parameter_names(statement, GRANTED)
    assert names == ("established_on", "name", "name", None)
    with pytest.raises(InvalidRequestError):
        parameter_names(statement, ("name",))


def test_too_many_parameters():
    with pytest.raises(InvalidRequestError):
        asked("SELECT name FROM legal_entity_base", 1)


VALUES = st.sampled_from(
    [
        "'x'", "''", "'NaN'", "'Infinity'", "'2020-02-30'", "'2020-02-28'", "'9999-99-99'", "5",
        "-5", "0.1", "123456789012345678901234567890", "1.12345678901234567890", "TRUE", "?",
        "DATE '2020-01-01'", "DATE 'x'", "TIMESTAMP '2020-01-01T00:00:00'", f"'{uscc(3)}'",
        "'信用'", "'; DROP TABLE x; --'", "NULL", "name",
    ]
)  # fmt: skip
COLUMNS = st.sampled_from([*PRODUCT.fields, "nothing_like_it", "*", '"uscc"', "admin_penalty.uscc"])
CONDITIONS = st.tuples(COLUMNS, st.sampled_from(["=", "<>", "<", ">=", "IN"]), VALUES).map(
    lambda c: f"{c[0]} {c[1]} ({c[2]})" if c[1] == "IN" else " ".join(c)
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(COLUMNS, min_size=1, max_size=3),
    st.lists(CONDITIONS, max_size=4),
    st.sampled_from(["", " ORDER BY uscc", " LIMIT 5", " LIMIT 99999999999999999999"]),
    st.lists(st.text(max_size=5) | st.integers() | st.booleans() | st.dates(), max_size=2),
)
def test_whatever_is_asked_is_a_request_about_this_product_or_a_refusal(
    columns, conditions, ending, bound
):
    text = f"SELECT {', '.join(columns)} FROM legal_entity_base"
    text += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    request = request_or_refusal(text + ending, bound)
    if isinstance(request, XinguanError):
        assert not isinstance(request, InternalError)
        return
    assert request.product == PRODUCT.name
    assert set(request.decided) <= set(GRANTED)
    # No condition gets lost: each is among the subjects or the filters.
    assert bool(request.subjects) + len(request.conditions) == len(conditions)
    compile_rows(request.conditions, arrow_schema(PRODUCT))


def request_or_refusal(text, bound):
    try:
        question = asked(text, *bound)
        query = exchange_pb2.QueryRequest(
            product=question.product,
            fields=question.fields,
            subjects=question.subjects,
            limit=question.limit or 0,
            subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
            context=types_pb2.RequestContext(
                idempotency_key="k" * 8, purpose="P1", scenario="S1", destination="CN"
            ),
        )
        for each in question.filters:
            query.conditions.add(field=each.field, op=each.op, values=each.values)
        return Ask(query, 100, subjects_needed=False).parse("01JAAAAAAAAAAAAAAAAAAAAAAA", PRODUCT)
    except XinguanError as refusal:
        return refusal


@given(st.integers() | st.decimals(allow_nan=True) | st.floats() | st.binary() | st.none())
def test_a_bound_value_is_a_literal_or_refused(value):
    try:
        literal = of_python(value)
    except InvalidRequestError:
        return
    assert literal.kind is Kind.NUMBER
    assert literal == Literal(Kind.NUMBER, literal.text)
    assert literal.text.lstrip("-").replace(".", "").isdigit()
