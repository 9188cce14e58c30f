"""Rules of entry: R01, R05, R06, each on both of its sides."""

import datetime as dt

import pyarrow as pa
import pytest

from gateway.ingest.record_rules import breaches, catalogue_items, responsible_units
from tests.gateway.ingest.envelopes import CATALOGUE, PENALTY

DECLARED = CATALOGUE.product("self_declared_info")
SCHEMA = pa.schema(
    {
        "catalogue_item_id": pa.string(),
        "catalogue_version": pa.string(),
        "source_unit_uscc": pa.string(),
        "truth_commitment_id": pa.string(),
        "signed_at": pa.timestamp("s", "Asia/Shanghai"),
    }
)


def record(product, **changes):
    good = {
        "catalogue_item_id": f"SYN-{product.name}",
        "catalogue_version": "2024",
        "source_unit_uscc": product.manager_uscc,
        "truth_commitment_id": "SYN-CN-1",
        "signed_at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    }
    return pa.RecordBatch.from_pylist([good | changes], schema=SCHEMA)


def codes(batch, product):
    return {breach.code for breach in breaches(batch, product) if breach.rows.any()}


@pytest.mark.rule("R01", "absence")
@pytest.mark.rule("R05", "absence")
@pytest.mark.rule("R06", "absence")
@pytest.mark.parametrize("product", [PENALTY, DECLARED], ids=lambda p: p.name)
def test_a_sound_record_enters(product):
    assert codes(record(product), product) == set()


@pytest.mark.rule("R01", "effect")
@pytest.mark.parametrize(
    "changes",
    [
        {"catalogue_item_id": "SYN-unknown"},
        {"catalogue_item_id": None},
        {"catalogue_item_id": "SYN-admin_licence"},  # an item of another product
        {"catalogue_version": "2019"},
        {"catalogue_version": None},
    ],
)
def test_what_is_not_in_the_effective_catalogue_is_rejected(changes):
    assert codes(record(PENALTY, **changes), PENALTY) == {"NOT_IN_CATALOGUE"}


@pytest.mark.rule("R05", "effect")
@pytest.mark.parametrize("unit", ["91460099MA1KB25D0C", "", None])
def test_a_source_that_does_not_answer_for_the_product_is_rejected(unit):
    assert codes(record(PENALTY, source_unit_uscc=unit), PENALTY) == {"WRONG_SOURCE"}


@pytest.mark.rule("R05", "absence")
def test_every_unit_of_the_contract_may_deliver():
    for unit in responsible_units(PENALTY):
        assert codes(record(PENALTY, source_unit_uscc=unit), PENALTY) == set()


@pytest.mark.rule("R06", "effect")
@pytest.mark.parametrize(
    "changes",
    [{"truth_commitment_id": None}, {"truth_commitment_id": "  "}, {"signed_at": None}],
)
def test_a_declaration_without_a_truth_commitment_is_rejected(changes):
    assert codes(record(DECLARED, **changes), DECLARED) == {"NO_TRUTH_COMMITMENT"}


@pytest.mark.rule("R06", "absence")
def test_only_declarations_need_a_truth_commitment():
    assert codes(record(PENALTY, truth_commitment_id=None), PENALTY) == set()


def test_every_product_has_an_item_of_the_catalogue():
    products = {item.product for item in catalogue_items().values()}
    # The register of issued reports holds no records of any source.
    assert products == set(CATALOGUE.products) - {"credit_report_check"}
