import itertools
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import InternalError
from gateway.domain.product import Field
from gateway.domain.vocabulary import BorderDefault, FieldAction, FieldClass
from gateway.release import enforce
from gateway.release.enforce import (
    ACTION,
    CLASSIFICATION,
    MEASURE,
    TITLE,
    compile_enforcer,
    edge_check,
)
from gateway.release.pseudonym import ConsumerKeys

KEYS = ConsumerKeys.derive(bytes(32), "uscc:BANK")
ALLOW, MASK, PSEUDONYM, GENERALISE, DROP = FieldAction
TYPES = {
    "uscc": ("string", pa.string()),
    "name": ("string", pa.string()),
    "kind": ("enum(A,B)", pa.string()),
    "count": ("integer", pa.int64()),
    "fine": ("decimal(18,6)", pa.decimal128(18, 6)),
    "decided_on": ("date", pa.date32()),
    "updated_at": ("timestamp", pa.timestamp("s", "Asia/Shanghai")),
    "listed": ("boolean", pa.bool_()),
    "tags": ("list<string>", pa.list_(pa.string())),
}
FIELDS = {
    name: Field(
        name, f"题{name}", name, kind, FieldClass.P1, "u", BorderDefault.ALLOW, measure="万元"
    )
    for name, (kind, _) in TYPES.items()
}
SCHEMA = pa.schema([pa.field(name, kind) for name, (_, kind) in TYPES.items()])
ROW = {
    "uscc": "91460000MA5T00000X",
    "name": "海南某某有限公司",
    "kind": "A",
    "count": 7,
    "fine": Decimal("12.5"),
    "decided_on": date(2024, 5, 6),
    "updated_at": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    "listed": True,
    "tags": ["甲", "乙"],
}
EMPTY = dict.fromkeys(ROW)


def batch(*rows) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)


def enforced(actions, *rows) -> list[dict]:
    enforcer = compile_enforcer([(FIELDS[name], act) for name, act in actions.items()], KEYS)
    result = enforcer.apply(batch(*rows))
    assert result.schema.equals(enforcer.schema, check_metadata=True)
    edge_check(result.schema, actions)
    result.validate(full=True)
    return result.to_pylist()


def test_allowed_fields_are_as_they_were():
    assert enforced(dict.fromkeys(ROW, ALLOW), ROW, EMPTY)[1] == EMPTY
    (made,) = enforced(dict.fromkeys(ROW, ALLOW), ROW)
    assert made == ROW


def test_masked_fields_keep_a_first_character_or_nothing():
    masked = enforced(dict.fromkeys(ROW, MASK), ROW, EMPTY)
    assert masked[0] == EMPTY | {"uscc": "9***", "name": "海***", "kind": "A***"}
    assert masked[1] == EMPTY


@settings(deadline=None)
@given(st.text(max_size=50))
def test_a_mask_tells_nothing_of_length_or_ending(text):
    (made,) = enforced({"name": MASK}, ROW | {"name": text})
    assert made["name"] == text[:1] + "***"


@settings(deadline=None)
@given(
    st.sampled_from(["aZ9", "éß", "海王李", "𠀀𠀁", "a海", ""]),
    st.lists(st.text(max_size=6), min_size=65, max_size=70),
    st.integers(0, 3),
)
def test_texts_that_begin_alike_are_masked_as_any_other(firsts, rests, offset):
    texts = [
        first + rest for first, rest in zip(itertools.cycle(firsts or [""]), rests, strict=False)
    ]
    column = pa.array([*["海"] * offset, *texts], pa.string()).slice(offset)
    assert enforce._mask_text(column).to_pylist() == [text[:1] + "***" for text in texts]


def test_generalised_fields_are_text():
    actions = dict.fromkeys(["count", "fine", "decided_on", "updated_at"], GENERALISE)
    made = enforced(actions, ROW, EMPTY)
    assert made[0] == {
        "count": "[5, 10)",
        "fine": "[10, 50)",
        "decided_on": "2024",
        "updated_at": "2024",
    }
    assert set(made[1].values()) == {None}


def test_every_type_can_be_a_pseudonym():
    first, second, empty = enforced(dict.fromkeys(ROW, PSEUDONYM), ROW, ROW, EMPTY)
    assert first == second
    assert empty == EMPTY
    assert all(len(first[name]) == 33 for name in ROW if name != "tags")
    assert [len(tag) for tag in first["tags"]] == [33, 33]


def test_dropped_and_unnamed_fields_are_not_there():
    assert enforced({"uscc": ALLOW, "name": DROP}, ROW) == [{"uscc": ROW["uscc"]}]


def test_the_order_is_the_requests():
    enforcer = compile_enforcer([(FIELDS["tags"], ALLOW), (FIELDS["uscc"], MASK)], KEYS)
    assert enforcer.columns == ("tags", "uscc")
    assert enforcer.apply(batch(ROW)).schema.names == ["tags", "uscc"]


def test_no_rows_make_no_rows():
    actions = dict.fromkeys(ROW, MASK) | {"uscc": PSEUDONYM, "fine": GENERALISE}
    assert enforced(actions) == []


def test_each_field_says_what_was_done_to_it():
    enforcer = compile_enforcer([(FIELDS["fine"], MASK)], KEYS)
    assert enforcer.schema.field("fine").metadata == {
        ACTION: b"mask",
        CLASSIFICATION: b"P1",
        TITLE: "题fine".encode(),
        MEASURE: "万元".encode(),
    }


ACTIONS = st.fixed_dictionaries(
    {name: st.sampled_from([ALLOW, MASK, PSEUDONYM, DROP]) for name in ROW}
)
VALUES = st.fixed_dictionaries(
    {
        "uscc": st.text(max_size=20),
        "name": st.none() | st.text(max_size=20),
        "kind": st.none() | st.just("A"),
        "count": st.none() | st.integers(0, 9),
        "fine": st.none() | st.decimals(0, 9, places=6),
        "decided_on": st.none() | st.dates(),
        "updated_at": st.none(),
        "listed": st.none() | st.booleans(),
        "tags": st.none() | st.lists(st.none() | st.text(max_size=5), max_size=3),
    }
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4), st.lists(VALUES))
def test_the_bytes_depend_on_the_rows_alone(actions, rows, before, after):
    """Arrow pads a slice's buffers from its neighbours; they may be withheld records."""
    plan = [(FIELDS[name], action) for name, action in actions.items()]
    enforcer = compile_enforcer(plan, KEYS)
    alone = enforcer.apply(batch(*rows))
    among = enforcer.apply(batch(*before, *rows, *after).slice(len(before), len(rows)))
    again = pa.ipc.read_record_batch(among.serialize(), enforcer.schema)
    assert among.serialize().to_pybytes() == alone.serialize().to_pybytes()
    assert again.equals(alone)


def test_a_neighbour_does_not_leave_in_the_padding():
    rows = [ROW | {"name": f"公司{number}号"} for number in range(9)]
    enforcer = compile_enforcer([(FIELDS["name"], ALLOW)], KEYS)
    sliced = batch(*rows).slice(3, 1)
    neighbour = "公司4号".encode()
    assert neighbour in sliced.select(["name"]).serialize().to_pybytes()  # Arrow as it is
    assert neighbour not in enforcer.apply(sliced).serialize().to_pybytes()


@pytest.mark.parametrize(
    "wrong",
    [
        SCHEMA.remove(0),
        SCHEMA.set(0, pa.field("uscc", pa.int64())),
        SCHEMA.append(SCHEMA.field("uscc")),
    ],
)
def test_a_batch_of_another_form_does_not_leave(wrong):
    enforcer = compile_enforcer([(FIELDS["uscc"], ALLOW), (FIELDS["name"], ALLOW)], KEYS)
    given_batch = pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in wrong], schema=wrong)
    with pytest.raises(InternalError) as refusal:
        enforcer.apply(given_batch)
    assert refusal.value.code == "EDGE_CHECK"
    assert refusal.value.__cause__ is None


def test_keys_that_cannot_be_null_leave_under_the_released_schema():
    enforcer = compile_enforcer([(FIELDS["uscc"], ALLOW), (FIELDS["name"], MASK)], KEYS)
    strict = pa.schema([pa.field("uscc", pa.string(), nullable=False), SCHEMA.field("name")])
    loose = batch(ROW).select(["uscc", "name"])
    keyed = pa.RecordBatch.from_arrays(loose.columns, schema=strict)
    for held in (keyed, loose, keyed):
        result = enforcer.apply(held)
        assert result.schema.equals(enforcer.schema, check_metadata=True)
        assert result.to_pylist() == [{"uscc": ROW["uscc"], "name": "海***"}]


def test_further_columns_do_not_leave():
    enforcer = compile_enforcer([(FIELDS["name"], ALLOW)], KEYS)
    for _ in range(2):
        assert enforcer.apply(batch(ROW)).schema.names == ["name"]


def test_an_unknown_action_is_a_defect_not_an_allowance():
    with pytest.raises(InternalError) as refusal:
        compile_enforcer([(FIELDS["name"], "reveal")], KEYS)
    assert refusal.value.code == "POLICY_UNKNOWN_ANSWER"


def test_a_field_named_twice_is_refused():
    with pytest.raises(InternalError):
        compile_enforcer([(FIELDS["name"], DROP), (FIELDS["name"], ALLOW)], KEYS)


def test_text_without_a_transform_is_not_generalised_but_refused():
    with pytest.raises(InternalError):
        compile_enforcer([(FIELDS["name"], GENERALISE)], KEYS)


@pytest.mark.parametrize(
    "actions",
    [
        {"uscc": ALLOW},
        {"uscc": ALLOW, "name": ALLOW},
        {"uscc": ALLOW, "name": MASK, "kind": ALLOW},
        {"uscc": ALLOW, "name": DROP},
        {},
    ],
)
def test_the_edge_refuses_what_was_not_decided(actions):
    schema = compile_enforcer([(FIELDS["uscc"], ALLOW), (FIELDS["name"], MASK)], KEYS).schema
    edge_check(schema, {"uscc": ALLOW, "name": MASK, "count": DROP})
    with pytest.raises(InternalError) as refusal:
        edge_check(schema, actions)
    assert refusal.value.code == "EDGE_CHECK"


def test_the_edge_refuses_fields_that_say_nothing_or_occur_twice():
    named = compile_enforcer([(FIELDS["uscc"], ALLOW)], KEYS).schema
    silent = pa.schema([pa.field("uscc", pa.string())])
    for schema in (silent, named.append(named.field(0))):
        with pytest.raises(InternalError):
            edge_check(schema, {"uscc": ALLOW})
