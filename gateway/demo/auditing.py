"""The steps of the auditor: verify, prove, see who asked, and catch a flipped byte."""

import asyncio
import json
import shutil
import time
from pathlib import Path

from audit.reader import LogReader
from audit.verify import check_proof, verify_log
from gateway.demo.cast import AGENCY, AUDITOR
from gateway.demo.scene import Scene, Told, UnexpectedError, expect
from gateway.deployment import Deployment

_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.05


async def auditor_verifies(scene: Scene) -> Told:
    """The auditor verifies the whole log and proves the entry of the agency's first answer."""
    deployment = scene.stage.deployment
    async with scene.client(AGENCY) as agency:
        receipt = await agency.receipt(scene.last_request, wait_ms=10_000)
    vkey = deployment.log_vkey
    await asyncio.to_thread(_wait_published, deployment)
    proof, checkpoint = check_proof(receipt.proof, receipt.entry, vkey)
    report = await asyncio.to_thread(verify_log, deployment.log_directory, vkey)
    expect(not report.problems, "every entry and tile of the log verifies")
    entry = json.loads(receipt.entry)
    expect(entry["kind"] == "intent", "the receipt proves the intent")
    rows = [
        {"question": "who manages", "answer": ", ".join(entry["managers"])},
        {"question": "which node released", "answer": entry["node"]},
        {"question": "who uses", "answer": entry["party"]},
        {"question": "why", "answer": f"{entry['purpose']}, {entry['scenario']}"},
        {"question": "on which licence", "answer": f"entry {entry['licence']}"},
        {"question": "under which policy", "answer": entry["bundle"]},
        {"question": "which fields", "answer": json.dumps(entry["fields"])},
    ]
    return Told(
        "An auditor verifies the log and proves one entry",
        [
            (
                f"{report.entries} entries verified; entry {proof.index} proved in a tree of "
                f"{checkpoint.size}"
            ),
            "unwitnessed: nobody else has vouched for this log yet",
        ],
        rows,
        {"entries": report.entries, "proved": proof.index, "witnessed": False},
    )


def _wait_published(deployment: Deployment) -> None:
    """Wait until the published log has every entry that is there now.

    Raises:
        UnexpectedError: It has not, after a while.
    """
    state = deployment.open_state()
    try:
        connection = state.connect()
        newest = connection.next_index()
        connection.close()
    finally:
        state.close()
    reader = LogReader(deployment.log_directory, deployment.log_vkey)
    for _ in range(int(_PATIENCE_S / _LOOK_EVERY_S)):
        if reader.checkpoint().size >= newest:
            return
        time.sleep(_LOOK_EVERY_S)
    raise UnexpectedError("what was logged is published within seconds")


async def auditor_sees_who_asked(scene: Scene) -> Told:
    """The auditor sees who accessed a subject; the reading is in the log itself."""
    async with scene.client(AUDITOR) as auditor:
        accesses = await auditor.accesses(scene.company, "demonstration of measure 23")
    refused = [access for access in accesses if access.refused]
    expect(len(accesses) >= len(refused) + 2, "the agency's and the partner's accesses are there")
    expect(refused, "refusals are there too")
    rows = [
        {
            "entry": str(access.index),
            "who": access.party,
            "why": access.purpose,
            "product": access.product,
            "result": ", ".join(access.refused) or f"{len(access.fields)} fields",
        }
        for access in accesses
    ]
    return Told(
        "The auditor sees who asked about a company, refusals included",
        ["the log itself holds only commitments; the index key finds the entries"],
        rows,
        {"company": scene.company, "accesses": len(accesses), "refused": len(refused)},
    )


async def one_byte_is_flipped(scene: Scene) -> Told:
    """One byte of a copy of the log is flipped, and verification names the entry."""
    return await asyncio.to_thread(_flip, scene)


def _flip(scene: Scene) -> Told:
    deployment = scene.stage.deployment
    copy = deployment.root / "copied-log"
    shutil.copytree(deployment.log_directory, copy)
    index = LogReader(copy).checkpoint().size // 2
    _flip_entry(copy, index)
    report = verify_log(copy, deployment.log_vkey)
    shutil.rmtree(copy)
    expect(report.first_bad == index, "verification names the entry whose byte was flipped")
    return Told(
        "One byte of a copy of the log is flipped, and verification names the entry",
        [f"flipped a byte of entry {index}; verification says: first bad entry {report.first_bad}"],
        [],
        {"flipped": index, "named": report.first_bad},
    )


def _flip_entry(log: Path, index: int) -> None:
    """Flip one bit in the last byte of an entry, in every bundle file that holds it."""
    entry = LogReader(log).entry(index)
    for path in (log / "tile" / "entries").rglob("*"):
        if not path.is_file():
            continue
        data = bytearray(path.read_bytes())
        place = data.find(entry)
        if place >= 0:
            data[place + len(entry) - 1] ^= 1
            path.write_bytes(data)
