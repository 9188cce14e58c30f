"""Synthetic records about organisations: schemas A, B, C, F, G, H, J and K."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gateway.ingest.arrow_text import joined
from gateway.ingest.synth_chunk import (
    Chunk,
    Columns,
    adverse_state,
    organisations,
    origin,
    plain_state,
)
from gateway.ingest.synth_columns import amounts, lists, numbers_below, years
from gateway.ingest.synth_draws import hex_texts, pick
from gateway.ingest.synth_population import lei_texts, serials, uscc_texts
from gateway.snapshot.calendar_columns import NO_DAY, dates_from

_CITIES = ("海口", "三亚", "儋州", "省直辖县")
_CITY_CODES = ("460100", "460200", "460400", "469000")
_TOWNS = ("海口市示例路", "三亚市示例路", "儋州市示例路", "陵水黎族自治县示例路")
_TYPES = ("有限责任公司", "股份有限公司", "个人独资企业", "普通合伙")
_STATUSES = ("ACTIVE", "REVOKED", "CANCELLED", "MOVED_OUT")
_STATUS_WEIGHTS = (0.90, 0.03, 0.05, 0.02)
_INDUSTRIES = ("F5199", "I6510", "E4790", "G5430", "C1469", "A0111", "L7291", "C2710")
_CURRENCIES = ("CNY", "USD", "HKD")
_CURRENCY_WEIGHTS = (0.96, 0.025, 0.015)
_COUNTERPARTY = ("法人及非法人组织", "个体工商户")
_BREACH_DAYS = 60
_LONG_TERM = (np.datetime64("2099-12-31") - np.datetime64("1970-01-01")).astype(np.int64)


def legal_entity_base(chunk: Chunk) -> Columns:
    """Return schema A: one record for each organisation."""
    draws, rows, people = chunk.draws, chunk.rows, chunk.population
    founded = chunk.days_ago("founded", 9000) - 30
    place = draws.below("place", rows, len(_CITIES))
    limited = draws.chance("limited term", rows, 0.3)
    with_lei = draws.chance("lei", rows, 0.1).astype(np.int64)
    return {
        **organisations(chunk),
        **origin(chunk, np.maximum(founded, chunk.today - 400)),
        **plain_state(chunk, public=True),
        "name": people.names(rows),
        "name_en": people.english_names(rows),
        "legal_rep_name": joined("示例人", serials(draws.below("head", rows, people.persons))),
        "legal_rep_id_token": people.person_tokens(draws.below("head", rows, people.persons)),
        "entity_type": draws.choice("type", rows, _TYPES),
        "established_on": dates_from(founded),
        "operating_to": dates_from(np.where(limited, founded + 20 * 365, NO_DAY)),
        "reg_status": pick(_STATUSES, draws.weighted("status", rows, _STATUS_WEIGHTS)),
        "registered_capital": amounts(10_000_000 * (1 + draws.below("capital", rows, 5000))),
        "registered_capital_currency": pick(
            _CURRENCIES, draws.weighted("currency", rows, _CURRENCY_WEIGHTS)
        ),
        "address": joined("海南省", pick(_TOWNS, place), numbers_below(chunk, "house", 999), "号"),
        "region_code": pick(_CITY_CODES, place),
        "province": chunk.constant("海南"),
        "locality": pick(_CITIES, place),
        "business_scope": joined("示例经营范围", numbers_below(chunk, "scope", 40)),
        "industry_code": draws.choice("industry", rows, _INDUSTRIES),
        "reg_authority": chunk.constant(chunk.unit[1]),
        "reg_authority_uscc": chunk.constant(chunk.unit[0]),
        "lei": joined(pick((None, ""), with_lei), lei_texts(rows)),
        "contact_phone": joined("0000-", serials(draws.below("phone", rows, 10**7))),
    }


def admin_licence(chunk: Chunk) -> Columns:
    """Return schema B."""
    draws, rows = chunk.draws, chunk.rows
    decided = chunk.days_ago("decided", 2500)
    ends = np.where(draws.chance("long", rows, 0.2), _LONG_TERM, decided + 3 * 365)
    return {
        **organisations(chunk),
        **origin(chunk, decided + 1),
        **plain_state(chunk, public=True),
        **_counterparty(chunk),
        "alt_ids": lists(joined("GSZC:", serials(chunk.companies()))),
        "doc_name": chunk.constant("示例准予许可决定书"),
        "doc_no": joined("示例许〔", years(decided), "〕", serials(rows), "号"),
        "licence_type": draws.choice("kind", rows, ("01", "02", "03", "04", "05", "06")),
        "cert_name": draws.choice("cert", rows, ("示例经营许可证", "示例卫生许可证")),
        "cert_no": joined("SYN-XK-", serials(rows)),
        "content": joined("示例许可内容", numbers_below(chunk, "content", 30)),
        "decided_on": dates_from(decided),
        "valid_from": dates_from(decided),
        "valid_to": dates_from(ends),
        "authority": chunk.constant(chunk.unit[1]),
        "authority_uscc": chunk.constant(chunk.unit[0]),
        "status": pick(("2", "1"), (ends >= chunk.today).astype(np.int64)),
    }


_PENALTIES = ("WARNING", "CRITICISM", "FINE", "CONFISCATE_GOODS", "REVOKE_LICENCE")
_VIOLATIONS = ("示例违法类型甲", "示例违法类型乙", "示例违法类型丙")


def admin_penalty(chunk: Chunk) -> Columns:
    """Return schema C; every record is adverse and agrees with the periods of the law."""
    draws, rows = chunk.draws, chunk.rows
    life = adverse_state(chunk)
    severity = life.columns["severity"].to_numpy(zero_copy_only=False)
    minor = np.asarray(severity == "MINOR")
    kind = np.where(minor, 0, 2)
    fine = np.where(minor, 0, 1_000_000 * (1 + draws.below("fine", rows, 200)))
    return {
        **organisations(chunk),
        **origin(chunk, life.determined + 3),
        **life.columns,
        **_counterparty(chunk),
        "decision_no": joined("示例罚〔", years(life.determined), "〕", serials(rows), "号"),
        "violation_type": draws.choice("violation", rows, _VIOLATIONS),
        "facts": joined("示例违法事实", numbers_below(chunk, "facts", 90)),
        "legal_basis": joined("示例条例第", numbers_below(chunk, "article", 60), "条"),
        "penalty_type": lists(pick(_PENALTIES, kind)),
        "content": joined("示例处罚内容", numbers_below(chunk, "content", 60)),
        "fine_10k": amounts(fine),
        "confiscation_10k": amounts(np.zeros(len(rows), np.int64)),
        "decided_on": dates_from(life.determined),
        "authority": chunk.constant(chunk.unit[1]),
        "authority_uscc": chunk.constant(chunk.unit[0]),
        "summary_procedure": pa.array(minor),
        "large_amount": pa.array(np.asarray(severity == "SERIOUS")),
        "fulfilled_on": dates_from(life.fulfilled),
        "usage_scope": chunk.constant("SHARED"),
    }


def contract_performance(chunk: Chunk) -> Columns:
    """Return schema F: the performing party is the subject."""
    draws, rows = chunk.draws, chunk.rows
    signed = chunk.days_ago("signed", 1500)
    late = np.where(draws.chance("late", rows, 0.2), draws.below("days", rows, 90), 0)
    buyer = uscc_texts(
        np.tile(np.frombuffer(b"11", np.uint8), (len(rows), 1)), draws.below("buyer", rows, 500)
    )
    milestone = joined(
        '{"due_on":"',
        dates_from(signed + 90).cast(pa.string()),
        '","status":"',
        pick(("PAID", "LATE"), (late > 0).astype(np.int64)),
        '"}',
    )
    return {
        **organisations(chunk),
        **origin(chunk, signed + 1),
        **plain_state(chunk, public=False),
        "contract_id": joined("SYN-HT-", serials(rows)),
        "contract_name": joined("示例采购合同", serials(rows)),
        "party_a_uscc": buyer,
        "party_b_uscc": chunk.population.usccs(chunk.companies()),
        "contract_type": draws.choice("type", rows, ("货物", "服务", "工程")),
        "signed_on": dates_from(signed),
        "amount": amounts(1_000_000 * (1 + draws.below("amount", rows, 100_000))),
        "currency": chunk.constant("CNY"),
        "milestones": lists(milestone),
        "on_time_ratio": amounts(np.where(late > 0, 5000, 10_000), pa.decimal128(5, 4)),
        "overdue_days": pa.array(late),
        "breach_flag": pa.array(late > _BREACH_DAYS),
        "source": draws.choice("source", rows, ("GOV_MONITOR", "SELF_DECLARED", "FISCAL_SYSTEM")),
    }


_COMMITMENTS = ("APPROVAL_SUBSTITUTE", "PROACTIVE", "DEFECT_TOLERANT", "CREDIT_REPAIR")


def credit_commitment(chunk: Chunk) -> Columns:
    """Return schema G; no breach is made up, so no record is adverse."""
    draws, rows = chunk.draws, chunk.rows
    committed = chunk.days_ago("committed", 1500)
    return {
        **organisations(chunk),
        **origin(chunk, committed),
        **plain_state(chunk, public=True),
        "commitment_type": draws.choice("type", rows, _COMMITMENTS),
        "commitment_code": joined("SYN-CN-", serials(rows)),
        "committed_on": dates_from(committed),
        "acceptor": chunk.constant(chunk.unit[1]),
        "acceptor_uscc": chunk.constant(chunk.unit[0]),
        "matter": joined("示例承诺事由", numbers_below(chunk, "matter", 20)),
        "content": chunk.constant("示例承诺内容"),
        "liability": chunk.constant("示例违约责任"),
        "fulfil_status": draws.choice("fulfilled", rows, ("全部履行", "部分履行", "—")),
        "template_version": chunk.constant("SYN-1"),
    }


def public_credit_grade(chunk: Chunk) -> Columns:
    """Return schema H."""
    draws, rows = chunk.draws, chunk.rows
    as_of = chunk.days_ago("as of", 300)
    points = draws.below("score", rows, 6001)  # hundredths above 40
    grade = 3 - np.minimum(points // 1500, 3)
    return {
        **organisations(chunk),
        **origin(chunk, as_of),
        **plain_state(chunk, public=True),
        "grade": pick(("A", "B", "C", "D"), grade),
        "grade_mapping_id": chunk.constant("SYN-GRADE-1"),
        "score": amounts(4000 + points, pa.decimal128(6, 2)),
        "model_id": chunk.constant("SYN-MODEL"),
        "model_version": chunk.constant("1.0"),
        "as_of": dates_from(as_of),
        "valid_to": dates_from(as_of + 365),
        "recompute_reason": draws.choice("reason", rows, ("SCHEDULE", "NEW_RECORD")),
        "input_record_hashes": lists(hex_texts(draws.digests("input", rows, 32))),
    }


def credit_repair_decision(chunk: Chunk) -> Columns:
    """Return schema J."""
    draws, rows = chunk.draws, chunk.rows
    decided = chunk.days_ago("decided", 700)
    return {
        **organisations(chunk),
        **origin(chunk, decided),
        **plain_state(chunk, public=False),
        "repair_id": joined("SYN-XF-", serials(rows)),
        "target_record_id": joined("SYN-", serials(draws.below("target", rows, chunk.total))),
        "application_no": joined("SYN-SQ-", serials(rows)),
        "channel": draws.choice("channel", rows, ("信用中国", "行业系统", "线下窗口")),
        "applied_on": dates_from(decided - 12),
        "accepted_on": dates_from(decided - 9),
        "decided_on": dates_from(decided),
        "decision": pick(("APPROVED", "REJECTED"), draws.weighted("d", rows, (0.85, 0.15))),
        "deciding_unit": chunk.constant(chunk.unit[1]),
        "deciding_unit_uscc": chunk.constant(chunk.unit[0]),
        "evidence": lists(
            joined("FULFILMENT_PROOF:", hex_texts(draws.digests("proof", rows, 32))),
            joined("CREDIT_COMMITMENT:", hex_texts(draws.digests("promise", rows, 32))),
        ),
        "effective_at": chunk.instants(decided),
        "authority_seq": pa.array(rows + 1),
    }


def self_declared_info(chunk: Chunk) -> Columns:
    """Return schema K; some consents to share have ended or were withdrawn."""
    draws, rows = chunk.draws, chunk.rows
    signed = chunk.days_ago("signed", 700)
    withdrawn = np.where(draws.chance("withdrawn", rows, 0.05), signed + 20, NO_DAY)
    withdrawn = np.where(withdrawn > chunk.today, NO_DAY, withdrawn)
    nothing = pa.nulls(len(rows), pa.timestamp("s", "Asia/Shanghai"))
    return {
        **organisations(chunk),
        **origin(chunk, signed),
        **plain_state(chunk, public=False),
        "declaration_id": joined("SYN-SB-", serials(rows)),
        "entry": draws.choice("entry", rows, ("信用中国（海南）", "海易办")),
        "declared_by_token": chunk.population.person_tokens(
            draws.below("declarant", rows, chunk.population.persons)
        ),
        "item_kind": draws.choice("kind", rows, ("FINANCE", "PERFORMANCE", "HONOUR", "ESG")),
        "item_period": years(signed),
        "item_key": draws.choice("key", rows, ("营业收入", "净利润", "研发投入")),
        "item_value": amounts(1_000_000 * draws.below("value", rows, 90_000)),
        "item_unit": chunk.constant("10k CNY"),
        "truth_commitment_id": joined("SYN-CN-", serials(rows)),
        "signed_at": chunk.instants(signed),
        "verification_level": draws.choice(
            "verified", rows, ("UNVERIFIED", "CROSS_CHECKED", "AUDITED")
        ),
        "share_recipients": lists(chunk.constant("BANK")),
        "share_purposes": lists(chunk.constant("ENTERPRISE_FINANCING")),
        "share_until": dates_from(signed + 365),
        "withdrawn_at": pc.if_else(
            pa.array(withdrawn == NO_DAY), nothing, chunk.instants(withdrawn)
        ),
    }


def _counterparty(chunk: Chunk) -> Columns:
    who = chunk.companies()
    sole = (chunk.population.kinds(who) == 1).astype(np.int64)
    return {
        "counterparty_name": chunk.population.names(who),
        "counterparty_type": pick(_COUNTERPARTY, sole),
    }
