import pytest

from gateway.domain.errors import InvalidRequestError, UnauthenticatedError
from gateway.domain.request import Loan
from gateway.domain.vocabulary import SubjectKind
from gateway.doors.ask import Ask
from gateway.release.ticket import Ticket
from tests.simulator import make_caller, make_product, uscc
from xinguan.v1 import exchange_pb2, types_pb2

PRODUCT = make_product()


def query(**words):
    built = exchange_pb2.QueryRequest(
        product="legal_entity_base",
        fields=["uscc", "name"],
        subjects=[uscc(7)],
        subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
        context=types_pb2.RequestContext(
            idempotency_key="key-00000001",
            purpose="CREDIT_REPORT",
            scenario="ENTERPRISE_REPORT",
            destination="CN",
            operator="operator-1",
            case_reference="case-1",
        ),
    )
    for name, value in words.items():
        target = built.context if hasattr(built.context, name) else built
        if isinstance(value, list):
            del getattr(target, name)[:]
            getattr(target, name).extend(value)
        else:
            setattr(target, name, value)
    return built


def parse(built, **words):
    return Ask(built, 3, **words).parse("01J", PRODUCT)


def refused(built, **words):
    with pytest.raises(InvalidRequestError) as refusal:
        parse(built, **words)
    return refusal.value


def test_a_query_is_read_as_it_stands():
    request = parse(query(limit=5, consent_id="c-1"))
    assert request.fields == ("uscc", "name")
    assert request.subjects == (uscc(7),)
    assert request.subject_kind is SubjectKind.LEGAL_ENTITY
    assert (request.limit, request.consent_id, request.request_id) == (5, "c-1", "01J")


def test_repeated_fields_and_subjects_count_once():
    request = parse(query(fields=["uscc", "uscc"], subjects=[uscc(7), f" {uscc(7).lower()} "]))
    assert (request.fields, request.subjects) == (("uscc",), (uscc(7),))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"idempotency_key": "short"}, "BAD_REQUEST"),
        ({"idempotency_key": "x" * 65}, "BAD_REQUEST"),
        ({"idempotency_key": "with blank"}, "BAD_REQUEST"),
        ({"purpose": "lower"}, "BAD_REQUEST"),
        ({"scenario": ""}, "BAD_REQUEST"),
        ({"purpose": "A1460099MA1Y8E2Y2Y"}, "BAD_REQUEST"),
        ({"measure": "91460099MA1Y8E2Y2Y"}, "BAD_REQUEST"),
        ({"destination": "China"}, "BAD_REQUEST"),
        ({"operator": "x" * 257}, "BAD_REQUEST"),
        ({"subject_kind": 0}, "BAD_REQUEST"),
        ({"limit": -1}, "BAD_REQUEST"),
        ({"fields": []}, "BAD_REQUEST"),
        ({"fields": ["uscc", "no_such_field"]}, "UNKNOWN_FIELD"),
        ({"subjects": []}, "BAD_REQUEST"),
        ({"subjects": ["91460099000000000X"]}, "BAD_ID"),
        ({"subjects": ["not a code"]}, "BAD_ID"),
        ({"subjects": [uscc(n) for n in range(4)]}, "BATCH_TOO_LARGE"),
    ],
)
def test_malformed_queries_are_refused(words, code):
    assert refused(query(**words)).code == code


def test_an_error_names_the_position_and_never_the_value():
    error = refused(query(subjects=[uscc(1), "91460099SECRET000X"]))
    assert "subject 2" in error.message
    assert "SECRET" not in error.message
    assert "no_such" not in refused(query(fields=["no_such_field"])).message


@pytest.mark.parametrize("person", ["11010519491231002X", "110105194912310021", "short"])
def test_identity_numbers_never_enter(person):
    kind = types_pb2.SUBJECT_KIND_NATURAL_PERSON
    assert refused(query(subjects=[person], subject_kind=kind)).code == "BAD_REQUEST"


def test_a_person_is_asked_about_by_token():
    kind = types_pb2.SUBJECT_KIND_NATURAL_PERSON
    assert parse(query(subjects=["pt-0123456789abcdef"], subject_kind=kind)).subjects


def test_flight_may_ask_for_a_whole_product():
    assert parse(query(subjects=[]), subjects_needed=False).subjects == ()


@pytest.mark.parametrize(
    ("field", "op", "code"),
    [("no_such", "eq", "UNKNOWN_FIELD"), ("name", "like", "BAD_REQUEST")],
)
def test_bad_conditions_are_refused(field, op, code):
    built = query()
    built.conditions.add(field=field, op=op, values=["x"])
    assert refused(built).code == code


def test_a_replay_is_recognised_and_a_ticket_is_not_one():
    first, second = Ask(query(), 3), Ask(query(), 3)
    assert first.replay_digest == second.replay_digest
    assert first.replay_digest != Ask(query(limit=1), 3).replay_digest
    ticket = Ticket(b"", "ab" * 32, "cd" * 32, 2, 5, 9)
    pinned = Ask(query(), 3, ticket=ticket)
    assert pinned.replay_digest is None
    assert (pinned.pinned_snapshot, pinned.batches) == ("ab" * 32, range(2, 5))


def test_a_wrong_signature_is_not_the_caller():
    built = query(signature="e30..AAAA")
    with pytest.raises(UnauthenticatedError) as refusal:
        Ask(built, 3).check_signature(make_caller(), b"not a certificate")
    assert refusal.value.code == "BAD_SIGNATURE"


def test_no_signature_is_the_policys_affair():
    Ask(query(), 3).check_signature(make_caller(), b"")


def test_a_loan_is_read_where_it_is_stated():
    assert parse(query()).loan is None
    stated = exchange_pb2.Loan(amount_fen=7, unsecured=True, via_platform=True)
    built = query()
    built.loan.CopyFrom(stated)
    assert parse(built).loan == Loan(7, unsecured=True, small_enterprise=False, via_platform=True)
    built.loan.amount_fen = 0
    assert refused(built).code == "BAD_REQUEST"
