"""Whose publicity prevails, record type by record type (R11 with domain-rules 13)."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import ConflictError
from gateway.registry.catalogue import Catalogue
from gateway.repair.decision import Origin, RepairClaims, Verdict
from gateway.repair.precedence import Precedence, check_precedence, precedence_of, precedences

SAMR = "示例市市场监督管理局"


def claims(origin: Origin, verdict: Verdict) -> RepairClaims:
    return RepairClaims(
        repair_id="repair-1",
        origin=origin,
        sequence=1,
        product="admin_penalty",
        record_id="r",
        verdict=verdict,
        deciding_unit="11460099000000043A",
        decided_at=1,
    )


def test_penalties_follow_credit_china_and_those_of_market_regulation_its_own_system():
    found = precedence_of("admin_penalty")
    assert found.followed_by("示例综合行政执法局") == "CREDIT_CHINA"
    assert found.followed_by(None) == "CREDIT_CHINA"
    assert found.followed_by(SAMR) == "ENTERPRISE_PUBLICITY"
    assert precedence_of("judgement_debtor").default == "COURT_LIST"
    assert precedence_of("legal_entity_base") is None


def test_every_product_that_is_bound_to_publicity_has_a_precedence():
    bound = {name for name, product in Catalogue.load().products.items() if product.feed_limit_s}
    # What is computed from records has no publicity of its own: it is as fresh as they are.
    bound.remove("credit_loan_features")
    assert set(precedences()) == bound
    for name, product in Catalogue.load().products.items():
        if name in bound and precedences()[name].column:
            assert precedences()[name].column in product.fields


@given(st.lists(st.none() | st.sampled_from([SAMR, "综合执法局", "", "市场监督"]), max_size=20))
def test_the_column_kernel_agrees_with_the_single_record(values):
    found = precedence_of("admin_penalty")
    for authority in sorted(found.authorities):
        column = found.follow(pa.array(values, pa.string()), authority)
        assert column.to_pylist() == [found.followed_by(value) == authority for value in values]


def test_the_first_exception_that_fits_holds():
    found = Precedence("CREDIT_CHINA", "by", (("甲", "COURT_LIST"), ("乙", "ENTERPRISE_PUBLICITY")))
    assert found.followed_by("甲乙") == "COURT_LIST"
    assert found.follow(pa.array(["甲乙"]), "ENTERPRISE_PUBLICITY").to_pylist() == [False]


@pytest.mark.parametrize("verdict", [Verdict.HOLD, Verdict.RELEASE])
def test_an_outranked_authority_neither_holds_nor_releases(verdict):
    with pytest.raises(ConflictError) as caught:
        check_precedence(claims(Origin.CREDIT_CHINA, verdict), "ENTERPRISE_PUBLICITY")
    assert (caught.value.reasons[0].rule, caught.value.code) == ("R11", "OUTRANKED")
    check_precedence(claims(Origin.ENTERPRISE_PUBLICITY, verdict), "ENTERPRISE_PUBLICITY")


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.WITHDRAWN, Verdict.DISPUTE_CLOSED])
def test_a_repair_is_no_question_of_publicity(verdict):
    check_precedence(claims(Origin.CREDIT_CHINA, verdict), "ENTERPRISE_PUBLICITY")


def test_the_unit_that_made_the_determination_holds_and_releases_its_own():
    for verdict in (Verdict.HOLD, Verdict.RELEASE):
        check_precedence(claims(Origin.AUTHORITY, verdict), "CREDIT_CHINA")
