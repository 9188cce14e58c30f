"""From a missed deadline to a person's decision, and every way out of it."""

import asyncio
import time
from dataclasses import dataclass

import pytest

from gateway.domain.errors import XinguanError
from gateway.domain.vocabulary import Role
from gateway.identity.keyfiles import new_document_key
from gateway.registry import document_keys, parties
from gateway.registry.act import Act
from gateway.registry.documents import Verified, sign
from gateway.repair.publish import Cleared
from gateway.repair.recall.acknowledge import (
    ACKNOWLEDGEMENT_TYPE,
    AcknowledgementClaims,
    Reply,
    acknowledge,
    read_acknowledgement,
)
from gateway.repair.recall.board import NoticeBoard, purge_list
from gateway.repair.recall.service import Done, RecallService
from gateway.repair.recall.status import notice_rows, proposal_rows, seconds_to_notice
from gateway.repair.recall.suspension import SUSPENSION_TYPE, Ruling, RulingClaims, rule
from tests.gateway.repair.recall.simulated import DUE_S, Simulated, party

KEYS = [f"r{n:03d}" for n in range(8)]
WAIT_S = 500
OPERATOR = party(90)


@dataclass
class Overdue:
    """A receiver with one notice, and the operator who would decide."""

    sim: Simulated
    service: RecallService

    def round(self, seconds: int = 0) -> Done:
        self.sim.now += seconds
        return self.service.round()

    def reply(self, reply: Reply, reason: str = "", *, notice: int = 0, who: str = ""):
        who = who or party(1)
        claims = AcknowledgementClaims(
            notice_id=self.sim.notices()[notice]["notice_id"],
            party=who,
            reply=reply,
            reason=reason,
            answered_at=self.sim.now,
        )
        key = new_document_key()
        token = sign(claims, key, ACKNOWLEDGEMENT_TYPE)
        verified = read_acknowledgement(token, lambda _: key.public_key(), b"")
        return self.send(verified, who)

    def send(self, verified: Verified, who: str):
        return self.sim.state.run(
            lambda tx: acknowledge(tx, verified, who, node="n", now=self.sim.now)
        )

    def rule(self, ruling: Ruling, *, signer: str = OPERATOR, about: str = "", **words):
        ((proposal,),) = self.sim.rows("SELECT max(proposal) FROM suspension_proposals")
        key = new_document_key()
        act = Act(self.sim.now, "n")
        self.sim.state.run(lambda tx: document_keys.register(tx, signer, key.public_key(), act))
        claims = RulingClaims(
            proposal=proposal,
            party=about or party(1),
            ruling=ruling,
            person="示例人员",
            decided_at=self.sim.now,
        )
        document = sign(claims, key, SUSPENSION_TYPE)
        values = {"proposal": proposal, "rulings": set(Ruling)} | words
        return self.sim.state.run(lambda tx: rule(tx, document, act, **values))

    def statuses(self) -> list[str]:
        return [notice["status"] for notice in self.sim.notices()]

    def proposals(self) -> list[str]:
        rows = self.sim.rows("SELECT status FROM suspension_proposals ORDER BY proposal")
        return [status for (status,) in rows]


@pytest.fixture
def overdue(sim) -> Overdue:
    act = Act(sim.now, "n")
    for who, role in ((OPERATOR, Role.OPERATOR), (party(1), Role.AGENCY)):
        wanted = parties.registration(who, "示例机构", role)
        sim.state.run(lambda tx, wanted=wanted: parties.register(tx, wanted, act))
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]])
    repair = sim.repair("r005", clear=False)
    service = RecallService(sim.state, sim.recaller(), node="n", proposal_wait_s=WAIT_S)
    service.cleared(Cleared(repair, "AUTHORITY", sim.now, sim.now * 1000))
    made = Overdue(sim, service)
    assert made.round() == Done(1, 0, 0)
    return made


def test_deadlines_pass_in_order_and_only_once(overdue):
    assert overdue.round(DUE_S - 1) == Done(0, 0, 0)
    assert overdue.round(1) == Done(0, 1, 0)
    assert overdue.statuses() == ["ESCALATED"]
    assert overdue.round(WAIT_S - 1) == Done(0, 0, 0)
    assert overdue.round(1) == Done(0, 0, 1)
    assert (overdue.statuses(), overdue.proposals()) == (["PROPOSED"], ["OPEN"])
    assert overdue.round(10 * WAIT_S) == Done(0, 0, 0)
    (escalated,) = overdue.sim.entries("recall_escalated")
    (proposed,) = overdue.sim.entries("suspension_proposed")
    assert proposed["recalls"] == [escalated["recall"]]
    assert overdue.sim.entries("licence_status") == []


@pytest.mark.parametrize("after", [0, DUE_S, DUE_S + WAIT_S])
def test_an_answer_ends_it_at_every_stage(overdue, after):
    overdue.round(min(after, DUE_S))
    overdue.round(after - min(after, DUE_S))
    assert overdue.reply(Reply.PURGED).status == "ACKNOWLEDGED"
    assert overdue.round(100 * WAIT_S) == Done(0, 0, 0)
    assert overdue.proposals() == (["MOOT"] if after > DUE_S else [])
    closed = overdue.sim.entries("suspension_closed")
    assert [entry["decision"] for entry in closed] == overdue.proposals()


def test_an_objection_is_heard_by_the_person_and_stops_nothing_by_itself(overdue):
    assert overdue.reply(Reply.OBJECTED, "我方未收到该批数据").status == "OBJECTED"
    overdue.round(DUE_S)
    assert overdue.sim.entries("recall_escalated") == []
    assert overdue.round(WAIT_S) == Done(0, 0, 1)
    reader = overdue.sim.state.connect()
    (row,) = proposal_rows(reader)
    reader.close()
    assert row["objections"] == ["我方未收到该批数据"]
    ruled = overdue.rule(Ruling.WAIVE)
    assert (ruled.decision, ruled.suspended) == ("DISMISSED", ())
    assert overdue.statuses() == ["WAIVED"]
    assert overdue.round(10 * WAIT_S) == Done(0, 0, 0)
    with pytest.raises(XinguanError) as refused:
        overdue.reply(Reply.PURGED)
    assert refused.value.code == "CONFLICT"
    assert "未收到" not in str(overdue.sim.entries("recall_acknowledged"))


def test_an_objection_to_what_is_proposed_stays_with_the_proposal(overdue):
    overdue.round(DUE_S)
    overdue.round(WAIT_S)
    assert overdue.reply(Reply.OBJECTED, "x").status == "PROPOSED"
    assert overdue.proposals() == ["OPEN"]
    assert overdue.reply(Reply.NOT_HELD).status == "ACKNOWLEDGED"
    assert overdue.proposals() == ["MOOT"]


def test_a_dismissal_gives_a_new_deadline(overdue):
    overdue.round(DUE_S)
    overdue.round(WAIT_S)
    assert overdue.rule(Ruling.DISMISS).decision == "DISMISSED"
    assert overdue.statuses() == ["OPEN"]
    assert overdue.round(3 * 86_400 - 1) == Done(0, 0, 0)
    assert overdue.round(1) == Done(0, 1, 0)
    assert overdue.round(WAIT_S) == Done(0, 0, 1)
    assert overdue.proposals() == ["DISMISSED", "OPEN"]


@pytest.mark.parametrize(
    ("ruling", "words", "code"),
    [
        (Ruling.SIGN, {"signer": party(1)}, "ROLE_FORBIDDEN"),
        (Ruling.SIGN, {"about": party(2)}, "NOT_YOUR_NOTICE"),
        (Ruling.SIGN, {"proposal": 7}, "BAD_REQUEST"),
        (Ruling.SIGN, {"rulings": {Ruling.DISMISS}}, "BAD_REQUEST"),
    ],
)
def test_a_decision_that_is_not_one_changes_nothing(overdue, ruling, words, code):
    overdue.round(DUE_S)
    overdue.round(WAIT_S)
    with pytest.raises(XinguanError) as refused:
        overdue.rule(ruling, **words)
    assert refused.value.code == code
    assert overdue.proposals() == ["OPEN"]


def test_a_closed_proposal_is_not_decided_again(overdue):
    overdue.round(DUE_S)
    overdue.round(WAIT_S)
    ruled = overdue.rule(Ruling.SIGN)
    assert (ruled.decision, ruled.suspended) == ("SIGNED", ())
    with pytest.raises(XinguanError) as refused:
        overdue.rule(Ruling.DISMISS)
    assert refused.value.code == "CONFLICT"
    (closed,) = overdue.sim.entries("suspension_closed")
    assert (closed["actor"], closed["decision"]) == (OPERATOR, "SIGNED")
    assert closed["document"]


def test_an_acknowledgement_is_taken_once_and_repeated_the_same(overdue):
    key = new_document_key()
    notice = overdue.sim.notices()[0]["notice_id"]
    words = {"notice_id": notice, "party": party(1), "answered_at": overdue.sim.now}
    first = sign(AcknowledgementClaims(reply=Reply.PURGED, **words), key, ACKNOWLEDGEMENT_TYPE)
    verified = read_acknowledgement(first, lambda _: key.public_key(), b"")
    done, again = overdue.send(verified, party(1)), overdue.send(verified, party(1))
    assert (done.repeated, again.repeated) == (False, True)
    assert (again.appended.index, again.appended.leaf_hash) == (
        done.appended.index,
        done.appended.leaf_hash,
    )
    with pytest.raises(XinguanError) as refused:
        overdue.reply(Reply.NOT_HELD)
    assert refused.value.code == "CONFLICT"


@pytest.mark.parametrize(
    ("reply", "who", "code"),
    [
        (Reply.SUSPENDED, party(1), "BAD_REQUEST"),
        (Reply.PURGED, party(2), "NOT_YOUR_NOTICE"),
    ],
)
def test_what_does_not_fit_is_refused(overdue, reply, who, code):
    with pytest.raises(XinguanError) as refused:
        overdue.reply(reply, who=who)
    assert refused.value.code == code
    assert overdue.statuses() == ["OPEN"]


def test_an_objection_without_a_reason_is_none():
    with pytest.raises(ValueError, match="reason"):
        AcknowledgementClaims(
            notice_id="0" * 32, party=party(1), reply=Reply.OBJECTED, answered_at=1
        )


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "x" * 9_000, "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "ünicode"]
)
def test_what_is_no_document_is_refused(token):
    with pytest.raises(XinguanError) as refused:
        read_acknowledgement(token, lambda _: None, b"")
    assert refused.value.code in {"BAD_DOCUMENT", "BAD_SIGNATURE"}


def test_the_board_gives_each_its_own_from_its_cursor(overdue):
    reader = overdue.sim.state.connect()
    board = NoticeBoard(reader)
    (notice,) = board.after(party(1), 0)
    assert board.newest() == notice.index
    assert board.after(party(1), notice.index) == []
    assert board.after(party(2), 0) == []
    assert purge_list(reader, party(1)).num_rows == 1
    assert purge_list(reader, party(2)).num_rows == 0
    (row,) = notice_rows(reader, repair=None, party_id=party(1))
    assert (row["unanswered"], row["served_at"], row["probe"]) == (True, None, None)
    assert notice_rows(reader, repair=0, party_id="") == []
    assert seconds_to_notice(reader) is None
    reader.close()


async def test_the_service_works_off_what_is_pending_and_stops(overdue):
    overdue.sim.repair("r005")
    service = RecallService(
        overdue.sim.state, overdue.sim.recaller(), node="n", proposal_wait_s=WAIT_S
    )
    service.start()
    began = time.monotonic()
    while len(overdue.sim.notices()) < 2:
        assert time.monotonic() - began < 60
        await asyncio.sleep(0.02)
    await service.stop()
    await service.stop()
