"""A gateway that is killed after an acknowledgement still tells every receiver, once.

An acknowledged publish, and a kill before, while or after the process computes its recall.
Whoever received the record has exactly one notice in the end; whoever did not has none.
"""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest

from gateway.deployment import Deployment
from gateway.registry.licences import GrantClaims
from gateway.repair.recall.compute import GRACE_S
from tests.fault.nodes import PENALTY, Node, Site, ask, make_site
from tests.gateway.e2e.serving import PENALTY_FIELDS
from xinguan.v1 import repair_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Seconds from the acknowledgement to the kill: recalls gather for 0.25 s before they are computed.
KILLED_AFTER_S = (0.0, 0.1, 0.26, 0.3, 0.5)
SERVICE = "/xinguan.v1.RepairService/"


def rows(site: Site, sql: str) -> list[tuple]:
    path = Deployment.open(site.home).state_path
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def receive(site: Site, node: Node, member, records) -> None:
    channel = node.channel(member.identity)
    try:
        found = await ask(
            channel, node.name, site, PENALTY, sorted({one.subject for one in records})
        )
    finally:
        await channel.close()
    got = {key for delivery in found for key in delivery.keys}
    assert {one.number for one in records} <= got


async def publish(site: Site, node: Node, record) -> int:
    channel = node.channel(site.authority)
    request = repair_pb2.PublishRequest(decision=site.desk.repair(PENALTY, record.record_id))
    try:
        raw = await channel.unary_unary(SERVICE + "Publish")(
            request.SerializeToString(), timeout=30
        )
    finally:
        await channel.close()
    return repair_pb2.PublishResponse.FromString(raw).entry.index


async def watched(site: Site, node: Node, member, wanted: int) -> list[str]:
    """Return the ids of the notices that a receiver is sent, and of any beyond those wanted."""
    channel = node.channel(member.identity)
    found: list[str] = []
    call = channel.unary_stream(SERVICE + "Watch")(repair_pb2.WatchRequest().SerializeToString())
    try:
        async with asyncio.timeout(60):
            while len(found) < wanted:
                found.append(repair_pb2.WatchResponse.FromString(await call.read()).notice_id)
        async with asyncio.timeout(1):
            found.append(repair_pb2.WatchResponse.FromString(await call.read()).notice_id)
    except TimeoutError:
        pass
    finally:
        call.cancel()
        await channel.close()
    return found


async def run(site: Site) -> None:
    grants = {PENALTY: GrantClaims(fields=tuple(PENALTY_FIELDS))}
    other = site.desk.enrol(grants=grants)
    node = Node(site.home, "alpha")
    records = site.records[: 2 * len(KILLED_AFTER_S)]
    shared, own = records[::2], records[1::2]
    subjects = {one.subject for one in shared}
    own = [one for one in own if one.subject not in subjects]
    try:
        await node.start()
        await receive(site, node, site.agency, records)
        await receive(site, node, other, shared)
        told: dict[int, set[str]] = {}
        for number, delay_s in enumerate(KILLED_AFTER_S):
            mine = {site.agency.party_id, other.party_id}
            told[await publish(site, node, shared[number])] = mine
            if number < len(own):
                told[await publish(site, node, own[number])] = {site.agency.party_id}
            await asyncio.sleep(delay_s)
            await node.kill()
            await node.start()
        end = time.monotonic() + GRACE_S + 300
        while rows(site, "SELECT 1 FROM recalls WHERE computed_at IS NULL"):
            assert time.monotonic() < end, "a recall was forgotten"
            await asyncio.sleep(0.5)
        notices = Counter(rows(site, "SELECT repair, party_id FROM recall_notices"))
        assert notices == Counter((repair, who) for repair, them in told.items() for who in them)
        bodies = [json.loads(body) for (body,) in rows(site, "SELECT body FROM audit_entry")]
        logged = Counter((one["repair"], one["party"]) for one in bodies if one["kind"] == "recall")
        assert logged == notices
        for member in (site.agency, other):
            wanted = sum(member.party_id in them for them in told.values())
            found = await watched(site, node, member, wanted)
            assert len(found) == len(set(found)) == wanted
    finally:
        await node.kill()


def test_every_receiver_is_told_once_however_the_gateway_dies(tmp_path):
    site = make_site(tmp_path / "home", companies=60, batch_rows=16)
    try:
        asyncio.run(run(site))
    finally:
        site.desk.close()
