"""Old published records without a class are marked; nothing else is touched."""

import pytest

from gateway.ingest.labelling import LabellingSource, label_old_records
from gateway.snapshot.admission_rules import shareable
from tests.gateway.ingest.envelopes import COMMITMENT, DAY, PENALTY, SCHEMA, batch

OLD = {"severity": None, "determination_date": DAY("2026-03-31")}


def test_an_old_public_record_is_marked_and_stays_visible():
    before = batch(OLD)
    after = label_old_records(before, PENALTY)
    assert after.column("severity").to_pylist() == ["UNLABELLED"]
    assert shareable(before, PENALTY).to_pylist() == [False]
    assert shareable(after, PENALTY).to_pylist() == [True]
    assert after.schema == SCHEMA


@pytest.mark.parametrize(
    "change",
    [
        {"determination_date": DAY("2026-04-01")},  # R03 holds from Order 36 on
        {"determination_date": None},
        {"publicity_state": "ENDED"},
        {"publicity_state": None},
        {"severity": "GENERAL"},
    ],
)
def test_other_records_are_not_marked(change):
    records = batch(OLD | change)
    assert label_old_records(records, PENALTY).equals(records)


def test_a_product_that_is_not_adverse_is_left_alone():
    records = batch(OLD)
    assert label_old_records(records, COMMITMENT) is records


class _Records:
    """A source in memory."""

    def schema(self):
        return SCHEMA

    def version(self):
        return "v"

    def scan(self, columns, predicate, batch_bytes):
        yield batch(OLD, {})
        yield batch({})


def test_a_source_is_labelled_as_it_is_read():
    source = LabellingSource(_Records(), PENALTY)
    severities = [b.column("severity").to_pylist() for b in source.scan(None, None, 1)]
    assert severities == [["UNLABELLED", "GENERAL"], ["GENERAL"]]
    assert (source.schema(), source.version()) == (SCHEMA, "v")
