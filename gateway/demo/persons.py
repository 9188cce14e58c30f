"""The step in which persons are counted for export, up to the number that changes the law."""

import asyncio
from typing import Any

from gateway.border import counters_report as reports
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.demo.abroad import CONSENT, DEBTORS, DECLARED, persons
from gateway.demo.cast import EXPORTER, PARTNER
from gateway.demo.credential import WORDS
from gateway.demo.scene import Scene, Told, expect, seconds
from xinguan.client import Answer, Client, RefusedError

_FIELDS = ("name", "court")
_THRESHOLD = 10_000  # sensitive information: from here on a security assessment (R65)


async def persons_are_counted(scene: Scene) -> Told:
    """The partner asks about two persons; the second would be one too many for the mechanism."""
    first, second = persons(scene.stage)
    async with scene.client(PARTNER) as client:
        answer = await _ask(client, first)
        expect(answer.outcome and answer.outcome.rows, "the first person's record crosses")
        refused = ""
        try:
            await _ask(client, second)
        except RefusedError as error:
            refused = error.code
    expect(refused == "XB_MECHANISM", "the 10,000th person is refused, whatever the consent says")
    annex = await asyncio.to_thread(_annex, scene)
    count = next(each for each in annex.counts if each.kind is CountClass.SENSITIVE)
    line = next(each for each in annex.lines if each.product == DEBTORS)
    near = next(each for each in count.near if each.threshold == _THRESHOLD)
    expect((count.own, count.declared) == (1, DECLARED), "this gate's person and the declared ones")
    expect(near.alarms == (80, 90, 95), "every alarm below the threshold was raised")
    rows = [
        {"of the yearly filing": "exporter of record", "value": annex.exporter},
        {"of the yearly filing": "recipient", "value": f"{line.party}, {line.country}"},
        {"of the yearly filing": "product and fields", "value": f"{line.product}: {_names(line)}"},
        {"of the yearly filing": "mechanism", "value": f"{line.mechanism} ({line.mechanism_kind})"},
        {"of the yearly filing": "persons, records", "value": f"{line.sensitive}, {line.records}"},
    ]
    return Told(
        "Persons are counted for export; the one too many is refused",
        [
            f"sensitive: {count.own} of this gate + {count.declared} declared = {count.total}",
            f"at this pace {near.threshold} is reached: {near.reached_on or 'not this year'}",
            f"the next person is refused: {refused}, a security assessment is needed (R65)",
        ],
        rows,
        {
            "total": count.total,
            "threshold": near.threshold,
            "reached_on": near.reached_on,
            "refused": refused,
            "mechanism": line.mechanism,
        },
    )


async def _ask(client: Client, person: str) -> Answer:
    words: dict[str, Any] = {"subject_kind": "NATURAL_PERSON", "consent_id": CONSENT}
    return await client.query(DEBTORS, _FIELDS, subjects=[person], **WORDS, **words)


def _annex(scene: Scene) -> reports.Annex:
    """Return the exporter's part of the yearly filing, as `xinguan export report` prints it."""
    state, now = scene.stage.deployment.open_state(), seconds()
    try:
        (annex,) = state.run(
            lambda tx: reports.annexes(
                tx, CountLaw.load(), export_year(now), now, EXPORTER.party_id
            )
        )
    finally:
        state.close()
    return annex


def _names(line: reports.Line) -> str:
    return ", ".join(line.fields)
