"""What is copied: whitelisted fields that the contract lets out, organisations unless bound."""

import re
from dataclasses import replace

from gateway.border.store_apart_scope import PREDICATE_COLUMNS, scope_of
from gateway.domain.facts import Whitelist
from gateway.registry.catalogue import Catalogue
from gateway.repair.consequences import derived_products
from tests.conftest import ROOT

PRODUCTS = Catalogue.load().products
PENALTY = PRODUCTS["admin_penalty"]
NOW = 1_000


def whitelist(*fields: str, **words) -> Whitelist:
    values = {
        "version": 1,
        "fields": frozenset(fields),
        "approvals": {"AUTHORITY": 1, "SECURITY_ADMIN": 2},
        "mechanism": "",
        "index": 7,
        "not_before": NOW,
        "withdrawn_at": None,
    }
    return Whitelist(**(values | words))  # type: ignore[arg-type]  # a table of values


def scope(*versions: Whitelist, product=PENALTY, now: int = NOW):
    return scope_of(product, {("p", product.name): versions}, derived_products(), now)


def test_the_fields_of_all_partners_together_without_those_kept_inside():
    one, two = whitelist("uscc", "facts", "record_id"), whitelist("decision_no", index=9)
    found = scope_of(
        PENALTY, {("a", "admin_penalty"): (one,), ("b", "admin_penalty"): (two,)}, (), NOW
    )
    assert found.fields == ("decision_no", "dispute_flag", "uscc")
    assert found.whitelists == (7, 9)
    assert not found.persons
    assert set(found.needed) == PREDICATE_COLUMNS & set(PENALTY.fields)


def test_nothing_without_a_whitelist_in_effect():
    for version in (
        whitelist("uscc", not_before=NOW + 1),
        whitelist("uscc", withdrawn_at=NOW),
        whitelist("uscc", approvals={"AUTHORITY": 1}),
        whitelist("facts"),
        whitelist("no_such_field"),
    ):
        assert scope(version).fields == (), version
    assert scope(whitelist("uscc"), whitelist("name", version=2, withdrawn_at=NOW)).fields == ()
    assert scope().fields == ()


def test_persons_only_where_a_whitelist_is_bound_to_a_mechanism():
    assert not scope(whitelist("uscc")).persons
    assert scope(whitelist("uscc", mechanism="SCC-1")).persons


def test_values_that_a_repair_withholds_bring_their_time_with_them():
    grade = PRODUCTS["public_credit_grade"]
    assert "source_updated_at" in scope(whitelist("grade"), product=grade).needed
    assert "source_updated_at" not in scope(whitelist("uscc")).needed


def test_a_product_that_is_kept_inside_whole_is_never_copied():
    score = PRODUCTS["golden_coconut_score"]
    kept = replace(
        score, fields={name: f for name, f in score.fields.items() if f.border.value == "D"}
    )
    assert scope(whitelist(*kept.fields), product=kept).fields == ()


def test_the_gate_has_every_column_that_a_policy_withholds_rows_by():
    """A predicate on another column would make every answer from abroad unavailable."""
    named = set()
    for path in (ROOT / "policies" / "xinguan").rglob("*.rego"):
        if not path.name.endswith("_test.rego"):
            named |= set(re.findall(r'predicates contains \{"field": "(\w+)"', path.read_text()))
    assert named == PREDICATE_COLUMNS
