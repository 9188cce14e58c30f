"""The desk when something goes wrong half way, and when two of them work at once."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass

import pytest

from audit.openings import OpeningStore
from gateway.cli.console import Session
from gateway.cli.repair_parts import PublishingParts, parts_of
from gateway.demo.stage import make_deployment
from gateway.domain.errors import UnavailableError
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import read_document_key
from gateway.inbound import desk as room
from gateway.inbound import records
from gateway.inbound.checking import Checker
from gateway.inbound.desk import Desk
from gateway.inbound.outcomes import Handed
from gateway.inbound.records import State as RecordState
from gateway.inbound.refreshing import Found
from gateway.inbound.vault import Vault
from gateway.registry import issuers
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import sign
from gateway.registry.issuer_claims import ISSUER_TYPE
from gateway.serving.standing import sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.inbound.abroad import BUREAU, OTHER_LEI, Issuer, Lists

CATALOGUE = Catalogue.load()


@dataclass
class Place:
    """A deployment that nobody serves, with a registered bureau."""

    desk: Desk
    bureau: Issuer
    act: Act
    parts: PublishingParts
    register_again: object

    async def admit(self, *documents, lists=()):
        given = Lists(*(lists or (self.bureau.status_list(),)))
        handed = [Handed(str(number), text) for number, text in enumerate(documents)]
        return await self.desk.admit(handed, lambda register: Checker(register, given), self.act)

    async def refresh(self, *lists):
        given = Lists(*lists)
        return await self.desk.refresh(lambda register: Checker(register, given), self.act)

    def states(self):
        living = self.desk.state.run(lambda tx: records.living(tx, self.desk.vault))
        return {one.key: one.state for one in living}

    def leaving(self) -> list[str]:
        """Return the record keys that could leave a process that starts now."""
        state = self.desk.state
        library = SnapshotLibrary(
            self.desk.library._directory, lambda name: sealed_keys(state, name)
        )
        snapshot = library.current(FOREIGN_PRODUCT)
        if snapshot is None:
            return []
        found = []
        for number in range(snapshot.batch_count):
            rows = snapshot.batch_rows(number)
            keys = snapshot.take(rows, ["record_id"]).column(0).to_pylist()
            free = snapshot.shareable(rows, self.act.now)
            found += [key for key, yes in zip(keys, free, strict=True) if yes]
        return sorted(found)


@pytest.fixture
async def place(tmp_path):
    bureau = Issuer(now=int(time.time()))
    deployment = make_deployment(tmp_path / "home", bureau.now)
    state = deployment.open_state()
    act = Act(bureau.now, deployment.settings.node)
    signing = read_document_key(deployment.dev_authority / AUTHORITY_KEY)
    known = deployment.authority_keys().get

    def register(**changes):
        document = sign(bureau.registration(**changes), signing, ISSUER_TYPE)
        state.run(lambda tx: issuers.register_signed(tx, document, act, authority_key=known))

    register()
    parts = parts_of(Session(deployment, state, act))
    key = deployment.secrets().opening_key
    desk = Desk(
        state=state,
        library=parts.library,
        publisher=parts.publisher,
        openings=OpeningStore(key),
        vault=Vault(key),
        product=CATALOGUE.product(FOREIGN_PRODUCT),
        unit="示例",
        folder=deployment.directory / "inbound",
    )
    yield Place(desk, bureau, act, parts, register)
    await parts.delays.close()
    state.close()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keys_of(admitted):
    return [one.key for one in admitted.outcomes]


async def test_an_admission_that_broke_off_leaves_no_older_document(place, monkeypatch):
    old = place.bureau.credential(place.bureau.claims(issued=place.bureau.now - 900))
    new = place.bureau.credential(place.bureau.claims(rating="A1", index=9))
    (older,) = keys_of(await place.admit(old))
    assert place.leaving() == [older]

    async def broken(*_):
        raise UnavailableError("REPLICA_UNCONFIRMED", "a process did not confirm")

    with monkeypatch.context() as patch:
        patch.setattr(room, "end", broken)
        with pytest.raises(UnavailableError):
            await place.admit(new)
    assert len(place.states()) == 2
    done = await place.refresh(place.bureau.status_list())
    assert done.found[older] is Found.WITHDRAWN
    (newer,) = place.states()
    assert place.leaving() == [newer] != [older]


async def test_a_withdrawal_that_was_published_and_not_kept_is_repeated(place, monkeypatch):
    (key,) = keys_of(await place.admit(place.bureau.credential()))
    place.bureau.set(7, 1)
    ended = place.bureau.status_list(issued=place.bureau.now - 1)

    def broken(*_):
        raise UnavailableError("AUDIT_UNAVAILABLE", "the log can't be written")

    with monkeypatch.context() as patch:
        patch.setattr(room, "_note", broken)
        with pytest.raises(UnavailableError):
            await place.refresh(ended)
    assert place.leaving() == []  # it was ended first, and kept second
    assert place.states() == {key: RecordState.ACTIVE}
    assert (await place.refresh(ended)).found == {key: Found.WITHDRAWN}
    assert place.states() == {}


async def test_a_lost_snapshot_comes_back_the_same_and_what_ended_does_not(place):
    bureau = place.bureau
    other = bureau.credential(bureau.claims(lei=OTHER_LEI, uen=None, index=8))
    first, second = keys_of(await place.admit(bureau.credential(), other))
    bureau.set(7, 1)
    await place.refresh(bureau.status_list(issued=bureau.now - 1))
    assert place.leaving() == [second]
    # A restore brings old files back, never old permission (R27).
    restored = SnapshotLibrary(
        place.desk.library._directory, lambda _: [[first]], prepare=lambda _: None
    )
    for identity in restored.kept(FOREIGN_PRODUCT):
        snapshot = restored.pinned(FOREIGN_PRODUCT, identity)
        rows = snapshot.rows_of([first])
        assert not snapshot.shareable(rows, place.act.now).any()
    again = await place.refresh(bureau.status_list(issued=bureau.now))
    assert again.loaded.snapshot.manifest.rows == 1
    assert place.leaving() == [second]


async def test_a_lapsed_agreement_withdraws_nothing(place):
    (key,) = keys_of(await place.admit(place.bureau.credential()))
    agreement = place.bureau.description()["agreement"] | {"not_after": place.bureau.now}
    place.register_again(version=2, agreement=agreement)
    assert (await place.refresh(place.bureau.status_list())).found == {key: Found.STALE}
    place.register_again(version=3)
    assert (await place.refresh(place.bureau.status_list())).found == {key: Found.CONFIRMED}


async def test_a_kind_that_is_taken_out_is_withdrawn(place):
    (key,) = keys_of(await place.admit(place.bureau.credential()))
    place.register_again(version=2, statements=place.bureau.description()["statements"][1:])
    assert (await place.refresh(place.bureau.status_list())).found == {key: Found.WITHDRAWN}
    assert place.leaving() == []


async def test_an_older_list_brings_back_nothing_that_a_newer_one_suspended(place):
    older = place.bureau.status_list(issued=place.bureau.now - 60)
    (key,) = keys_of(await place.admit(place.bureau.credential(), lists=(older,)))
    place.bureau.set(7, 2)
    newer = place.bureau.status_list(issued=place.bureau.now - 30)
    assert (await place.refresh(newer)).found == {key: Found.HELD}
    assert place.leaving() == []
    assert (await place.refresh(older)).found == {key: Found.HELD}
    assert place.leaving() == []


async def test_what_a_list_said_when_it_refused_a_document_is_remembered(place):
    older = place.bureau.status_list(issued=place.bureau.now - 60)
    place.bureau.set(7, 1)
    newer = place.bureau.status_list(issued=place.bureau.now - 30)
    document = place.bureau.credential()
    for given, code in ((newer, "FOREIGN_STATUS_ENDED"), (older, "FOREIGN_STATUS_STALE")):
        (outcome,) = (await place.admit(document, lists=(given,))).outcomes
        assert outcome.code == code
    assert place.leaving() == []


async def test_a_document_shown_twice_by_other_identifiers_is_one_document(place):
    """What a holder withholds doesn't make another document of it, and keeps no other one out."""
    signed = place.bureau.claims()
    shown = place.bureau.credential(signed)
    jwt, *disclosures = shown.split("~")
    by_name = {json.loads(unb64(one))[1]: one for one in disclosures if one}
    without = "~".join([jwt, *(text for name, text in by_name.items() if name != "lei"), ""])
    other = place.bureau.credential(place.bureau.claims(lei=OTHER_LEI, uen=None, index=8))
    done = await place.admit(shown, without, other)
    assert [one.code for one in done.outcomes] == ["", "FOREIGN_OLDER", ""]
    assert len(place.leaving()) == 2


async def test_a_forged_list_ends_nothing(place):
    (key,) = keys_of(await place.admit(place.bureau.credential()))
    place.bureau.set(7, 1)
    forged = place.bureau.status_list(key=Issuer().key)
    assert (await place.refresh(forged)).found == {key: Found.STALE}
    assert place.leaving() == [key]


async def test_a_registration_that_changes_meanwhile_keeps_the_document_out(place):
    token = place.bureau.status_list()

    class Withdrawing:
        def token(self, _):
            place.desk.state.run(lambda tx: issuers.withdraw(tx, BUREAU, place.act))
            return token

    handed = [Handed("a", place.bureau.credential())]
    done = await place.desk.admit(
        handed, lambda register: Checker(register, Withdrawing()), place.act
    )
    assert [one.code for one in done.outcomes] == ["FOREIGN_ISSUER"]
    assert place.states() == {}


async def test_two_desks_serve_each_other_s_documents(place):
    bureau = place.bureau
    other = bureau.credential(bureau.claims(lei=OTHER_LEI, uen=None, index=8))

    def in_a_thread(document):
        return asyncio.run(place.admit(document))

    both = (asyncio.to_thread(in_a_thread, text) for text in (bureau.credential(), other))
    done = await asyncio.gather(*both)
    assert place.leaving() == sorted(key for one in done for key in keys_of(one))
