"""Synthetic records about persons, or about organisations and persons: D, E, I and L."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gateway.ingest.arrow_text import TextColumn, joined
from gateway.ingest.synth_chunk import (
    ONLY_SERIOUS,
    Chunk,
    Columns,
    adverse_state,
    mixed_subjects,
    origin,
    plain_state,
)
from gateway.ingest.synth_columns import lists, numbers_below, years
from gateway.ingest.synth_draws import pick
from gateway.ingest.synth_population import serials
from gateway.snapshot.calendar_columns import NO_DAY, dates_from

_BEHAVIOURS = ("示例情形一：有履行能力而拒不履行", "示例情形二：违反财产报告制度")


def serious_dishonesty_list(chunk: Chunk) -> Columns:
    """Return schema D; a record whose sharing ended was removed from the list."""
    draws, rows = chunk.draws, chunk.rows
    life = adverse_state(chunk, ONLY_SERIOUS)
    gone = np.asarray(
        pc.is_in(life.columns["share_state"], pa.array(["REPAIRED", "EXPIRED"])).to_numpy(
            zero_copy_only=False
        )
    )
    removed = np.where(gone, np.minimum(life.determined + 400, chunk.today), NO_DAY)
    number = joined("示例列〔", years(life.determined), "〕", serials(rows), "号")
    return {
        **mixed_subjects(chunk),
        **origin(chunk, life.determined + 3),
        **life.columns,
        "list_type": draws.choice("list", rows, ("示例领域严重失信主体名单甲", "示例名单乙")),
        "legal_basis": joined("示例条例第", numbers_below(chunk, "article", 60), "条"),
        "decision_no": number,
        "decision_date": dates_from(life.determined),
        "listing_authority": chunk.constant(chunk.unit[1]),
        "listing_authority_uscc": chunk.constant(chunk.unit[0]),
        "listed_on": dates_from(life.determined + 1),
        "reason": chunk.constant("示例列入事由"),
        "restriction_measures": lists(draws.choice("measure", rows, ("SYN-M-01", "SYN-M-02"))),
        "local_list": pa.array(draws.chance("local", rows, 0.3)),
        "status": pick(("LISTED", "REMOVED"), gone.astype(np.int64)),
        "removed_on": dates_from(removed),
        "push_receipt_id": joined("SYN-R-", serials(rows)),
    }


def judgement_debtor(chunk: Chunk) -> Columns:
    """Return schema E; what is fulfilled was removed by the court."""
    draws, rows = chunk.draws, chunk.rows
    life = adverse_state(chunk, ONLY_SERIOUS)
    person = chunk.of_person()
    removed = np.where(life.fulfilled == NO_DAY, NO_DAY, life.fulfilled + 3)
    removed = np.where(removed > chunk.today, NO_DAY, removed)
    # Most fulfilled ones are gone already; the demonstration needs some that are not.
    removed = np.where(draws.chance("still listed", rows, 0.6), NO_DAY, removed)
    performance = np.where(removed == NO_DAY, draws.below("performance", rows, 2), 2)
    age = 25 + draws.below("age", rows, 40)
    return {
        **mixed_subjects(chunk),
        **origin(chunk, life.determined + 3),
        **life.columns,
        "debtor_type": pick(("法人", "自然人"), person.astype(np.int64)),
        "sex": _where(chunk, draws.choice("sex", rows, ("男", "女"))),
        "age": _where(chunk, pa.array(age)),
        "province": chunk.constant("海南"),
        "court": chunk.constant(chunk.unit[1]),
        "case_no": joined("（", years(life.determined), "）示例执", serials(rows), "号"),
        "filing_date": dates_from(life.determined),
        "basis_doc_no": joined("（", years(life.determined), "）示例民初", serials(rows), "号"),
        "basis_authority": chunk.constant(chunk.unit[1]),
        "obligation": joined("示例义务", numbers_below(chunk, "obligation", 50)),
        "performance": pick(("全部未履行", "部分履行", "全部履行"), performance),
        "behaviour": draws.choice("behaviour", rows, _BEHAVIOURS),
        "published_on": dates_from(life.determined + 3),
        "removed_on": dates_from(removed),
    }


def golden_coconut_score(chunk: Chunk) -> Columns:
    """Return schema I: persons only, as tokens."""
    draws, rows, people = chunk.draws, chunk.rows, chunk.population
    as_of = chunk.days_ago("as of", 90)
    who = np.where(rows < people.persons, rows, draws.below("person", rows, people.persons))
    score = draws.below("score", rows, 501)
    return {
        "person_token": people.person_tokens(who),
        "subject_type": chunk.constant("NATURAL_PERSON"),
        **origin(chunk, as_of),
        **plain_state(chunk, public=False),
        "band": pick(("E", "D", "C", "B", "A"), np.minimum(score // 100, 4)),
        "score": pa.array(350 + score),
        "as_of": dates_from(as_of),
        "model_version": chunk.constant("SYN-1"),
        "consent_id": joined("SYN-SQ-", serials(rows)),
        "purpose": chunk.constant("INCENTIVE"),
    }


def port_clearance_credit(chunk: Chunk) -> Columns:
    """Return schema L: enterprises and persons at second-line ports."""
    draws, rows = chunk.draws, chunk.rows
    as_of = chunk.days_ago("as of", 300)
    enterprise = pick(
        ("ADVANCED_AEO", "WHITELIST", "FOCUS_LIST", "NONE"),
        draws.weighted("enterprise", rows, (0.1, 0.3, 0.05, 0.55)),
    )
    person = pick(
        ("WHITELIST", "FOCUS_LIST", "NONE"), draws.weighted("person class", rows, (0.3, 0.05, 0.65))
    )
    subjects = mixed_subjects(chunk)
    del subjects["name"]
    return {
        **subjects,
        **origin(chunk, as_of),
        **plain_state(chunk, public=False),
        "enterprise_class": pc.if_else(
            pa.array(chunk.of_person()), pa.nulls(len(rows), pa.string()), enterprise
        ),
        "person_class": _where(chunk, person),
        "as_of": dates_from(as_of),
        "source_depts": lists(draws.choice("dept", rows, ("示例海关", "示例海事", "示例税务"))),
        "measures": lists(draws.choice("measure", rows, ("SYN-降低查验", "SYN-常规查验"))),
    }


def _where(chunk: Chunk, column: TextColumn) -> TextColumn:
    """Return the column for rows about persons, null elsewhere."""
    nothing = pa.nulls(len(chunk.rows), column.type)
    kept: TextColumn = pc.if_else(pa.array(chunk.of_person()), column, nothing)
    return kept
