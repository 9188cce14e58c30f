"""The step in which a leaked copy is traced to its delivery, or to nobody."""

import asyncio
import json
from collections.abc import Sequence

from audit.reader import LogReader
from gateway.demo.cast import PARTNER
from gateway.demo.credential import WORDS
from gateway.demo.scene import Row, Scene, Told, expect, seconds
from gateway.demo.stage import COMPANIES
from gateway.release.marks import open_marks
from gateway.serving.border import open_store
from gateway.trace.leak import Leak, parse
from gateway.trace.places import CopyPlaces
from gateway.trace.traced import Traced
from gateway.trace.tracer import THRESHOLD, Tracer

_FIELDS = ("uscc", "name", "entity_type", "established_on", "reg_status", "registered_capital")
_ASKED = 12  # answers of six fields each: their orders name a party beyond doubt


async def leaked_copy_is_traced(scene: Scene) -> Told:
    """Copies of the partner's answers turn up elsewhere, and say whose they are."""
    async with scene.client(PARTNER) as client:
        answers = [
            await client.query(COMPANIES, _FIELDS, subjects=[code], **WORDS)
            for code in _companies(scene)
        ]
    first = answers[0]
    copies = [
        {"mark": first.mark, "rows": first.rows()},
        [row for answer in answers for row in answer.rows()],
        first.rows(),
    ]
    whole, pasted, bare = await asyncio.to_thread(_trace, scene, copies)
    expect(whole.verdict == "named", "the mark names a delivery")
    expect(whole.named[0].request == first.decision.request_id, "it is the right one")
    expect([each.party for each in pasted.parties] == [PARTNER.party_id], "orders name the party")
    expect(bare.verdict == "cannot_tell", "a single record without a mark names nobody")
    delivery, party = whole.named[0], pasted.parties[0]
    rows: list[Row] = [
        {
            "copy": "an answer with its mark",
            "traced to": f"{delivery.party}, log entry {delivery.intent}",
            "named wrongly": f"less than {delivery.bound:.0e}",
        },
        {
            "copy": f"{party.compared} records pasted together, no mark",
            "traced to": party.party,
            "named wrongly": f"less than {party.bound:.0e}",
        },
        {
            "copy": "one of these records alone",
            "traced to": f"nobody; deliveries that held it: {len(bare.candidates)}",
            "named wrongly": "-",
        },
    ]
    return Told(
        "A leaked copy is traced to the delivery that it came from",
        [
            "the order of fields and rows is keyed, and no value is changed",
        ],
        rows,
        {"entry": delivery.intent, "party": party.party, "alone": bare.verdict},
    )


def _trace(scene: Scene, copies: Sequence[object]) -> list[Traced]:
    deployment = scene.stage.deployment
    state = deployment.open_state()
    connection = state.connect()
    try:
        tracer = Tracer(
            connection,
            LogReader(deployment.log_directory, deployment.log_vkey),
            CopyPlaces(deployment.snapshots_directory, open_store(deployment, state)),
            open_marks(deployment.directory / deployment.settings.files.mark_key),
        )
        return [tracer.trace(_leak(copy), THRESHOLD) for copy in copies]
    finally:
        connection.close()
        state.close()


def _leak(copy: object) -> Leak:
    content = json.dumps(copy, default=str, ensure_ascii=False).encode()
    rows, beside = parse(content)
    return Leak(content + beside, tuple(rows))


def _companies(scene: Scene) -> list[str]:
    """Return codes of companies that are shown."""
    snapshot = scene.stage.loaded[COMPANIES].snapshot
    rows = snapshot.batch_rows(0)
    shown = snapshot.take(rows[snapshot.shareable(rows, seconds())], ["uscc", "subject_type"])
    firms = [row["uscc"] for row in shown.to_pylist() if row["subject_type"] == "LEGAL_ENTITY"]
    return list(dict.fromkeys(firms))[:_ASKED]
