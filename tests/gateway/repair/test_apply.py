"""Decisions that are written together leave what they would leave one after another."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from audit.commitment import Opening
from gateway.domain.errors import ConflictError
from gateway.domain.share_state import ShareState, Standing
from gateway.registry.documents import Verified
from gateway.repair.apply import Handed, Prepared, apply_decisions
from gateway.repair.decision import Plan, RepairClaims, Verdict
from gateway.repair.record import Record
from gateway.store.state import State

TABLES = (
    "repairs", "repair_sequences", "record_states", "sealed_records", "consequences", "tombstones",
    "recomputations", "recalls", "gate_changes", "gate_number",
)  # fmt: skip
ORIGINS = ("AUTHORITY", "COURT", "OBJECTION")
ENDS_AT, NOW = 5_000, 1_000


def claims_of(number: int, origin: int, sequence: int, record: int, verdict: Verdict, day: int):
    return RepairClaims(
        repair_id=f"repair-{number}",
        origin=ORIGINS[origin],
        sequence=sequence,
        product=("admin_penalty", "credit_commitment")[record % 2],
        record_id=f"r{record}",
        verdict=verdict,
        deciding_unit="11460099000000043A",
        decided_at=day,
        ruling="SYN-1",
        ends_at=9_000,
        statement="words",
        plan=Plan.FAILED if verdict is Verdict.UNMASK else None,
        dispute_id="d1",
    )


DECISIONS = st.lists(
    st.builds(
        claims_of,
        st.integers(1, 12),
        st.integers(0, 2),
        st.integers(1, 30),
        st.integers(0, 4),
        st.sampled_from(Verdict),
        st.sampled_from([100, 900]),
    ),
    min_size=1,
    max_size=25,
)


def digest_of(claims: RepairClaims) -> str:
    return hashlib.sha256(claims.model_dump_json().encode()).hexdigest()


def prepared(claims: RepairClaims, place: int, now: int) -> Prepared:
    key = claims.record_id
    record = Record(
        key=key,
        subject=f"s{int(key[1:]) // 2}",
        standing=Standing(ShareState.ACTIVE),
        ends_at=ENDS_AT if key == "r3" else None,
        repairable_from=500,
        can_be_labelled=key != "r2",
    )
    digest = digest_of(claims)
    decision = Verified(claims, "signer", digest, "token")
    opening = Opening("record", key.encode(), place.to_bytes(32, "big"))
    return Prepared(Handed(decision, "actor", now), record, opening)


def left(decisions: list[Prepared], cuts: list[int]) -> tuple[object, ...]:
    """Apply decisions in transactions of these sizes; return outcomes, tables and the log."""
    with TemporaryDirectory() as directory:
        state = State.open(Path(directory) / "state.sqlite3")
        try:
            outcomes, rest = [], list(decisions)
            for cut in cuts:
                some, rest = rest[:cut], rest[cut:]
                if some:
                    outcomes += state.run(lambda tx, some=some: apply_decisions(tx, some, "n"))
            reader = state.connect()
            tables = {
                name: sorted(map(repr, reader.execute(f"SELECT * FROM {name}").fetchall()))
                for name in TABLES
            }
            log = reader.execute("SELECT body FROM audit_entry ORDER BY position").fetchall()
            reader.close()
        finally:
            state.close()
    told = [
        (one.code, one.message)
        if isinstance(one, ConflictError)
        else (one.repeated, one.state, one.withheld, one.appended.leaf_hash)
        for one in outcomes
    ]
    bodies = [bytes(body) for (body,) in log]
    return told, tables, bodies


def without_indexes(tables: dict[str, list[str]]) -> dict[str, int]:
    return {name: len(rows) for name, rows in tables.items()}


@settings(max_examples=60, deadline=None)
@given(DECISIONS, st.data())
def test_decisions_together_leave_what_they_leave_one_after_another(decisions, data):
    # From ENDS_AT on a record of them has expired, so that decisions meet an end by date, too.
    now = data.draw(st.sampled_from([NOW, ENDS_AT + 1]))
    some = [prepared(claims, place, now) for place, claims in enumerate(decisions)]
    cuts = data.draw(st.lists(st.integers(1, 9), min_size=len(some), max_size=len(some)))
    alone = left(some, [1] * len(some))
    together = left(some, cuts)
    assert together[0] == alone[0]
    # Alarms of early repairs stand behind the entries of their transaction, so indexes may differ.
    assert sorted(strip(body) for body in together[2]) == sorted(strip(body) for body in alone[2])
    assert without_indexes(together[1]) == without_indexes(alone[1])
    early = any(b"EARLY_REPAIR" in body for body in alone[2])
    if not early:
        assert together[1] == alone[1]
        assert together[2] == alone[2]


def strip(body: bytes) -> bytes:
    head, _, tail = body.partition(b'"cause":')
    return head + tail.lstrip(b"0123456789")


def test_of_two_decisions_on_one_record_the_second_is_decided_on_the_first():
    ended = claims_of(1, 0, 1, 0, Verdict.APPROVED, 900)
    again = claims_of(2, 1, 1, 0, Verdict.HOLD, 900)
    told, tables, _ = left([prepared(ended, 0, NOW), prepared(again, 1, NOW)], [2])
    assert told[0][:3] == (False, ShareState.REPAIRED, True)
    assert told[1][0] == "CONTRADICTION"
    assert len(tables["record_states"]) == len(tables["repairs"]) == 1


def test_one_decision_twice_in_a_transaction_is_one():
    ended = claims_of(1, 0, 1, 0, Verdict.APPROVED, 900)
    told, tables, log = left([prepared(ended, 0, NOW), prepared(ended, 1, NOW)], [2])
    assert [one[0] for one in told] == [False, True]
    assert told[0][3] == told[1][3]
    assert len(tables["repairs"]) == len(tables["gate_changes"]) == len(log) == 1
