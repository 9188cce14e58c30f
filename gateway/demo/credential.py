"""The step in which the partner keeps a credential and checks it without asking anybody."""

from dataclasses import replace
from typing import Any

from gateway.credential.errors import CredentialError
from gateway.credential.sd_jwt import conceal, select
from gateway.credential.verify import Checks, Trust, Verified, verify
from gateway.demo.cast import PARTNER
from gateway.demo.scene import Scene, Told, expect, seconds
from gateway.demo.stage import Stage

ISSUER = "https://credentials.example.org"
_FIELDS = ("uscc", "name", "reg_status")
WORDS: dict[str, Any] = {  # words of a call
    "purpose": "TRADE",
    "scenario": "MUTUAL_RECOGNITION",
    "destination": "SG",
    "operator": "demo-analyst-1",
    "case_reference": "demo-trade-2026-10",
}


def with_issuer(stage: Stage) -> Stage:
    """Return a stage whose gateway issues credentials."""
    settings = stage.deployment.settings
    told = settings.credentials.model_copy(update={"issuer": ISSUER})
    settings = settings.model_copy(update={"credentials": told})
    return replace(stage, deployment=replace(stage.deployment, settings=settings))


async def partner_keeps_a_credential(scene: Scene) -> Told:
    """The partner has a credential issued and verifies it offline, its status included."""
    async with scene.client(PARTNER) as client:
        query = client.build_query("legal_entity_base", _FIELDS, subjects=[scene.company], **WORDS)
        made = await client.issue_credential(query)
    shown = select(made.sd_jwt, ["name"])
    found = _verify(scene, shown)
    expect(found.shown == ("name",), "only what is shown can be read")
    expect(_refusal(scene, shown, ahead_s=3_600) == "STALE_STATUS_LIST", "an old list doesn't do")
    other = conceal({"name": "another company"})[1][0].text
    altered = f"{shown.partition('~')[0]}~{other}~"
    expect(_refusal(scene, altered) == "DISCLOSURE_ALTERED", "nothing can be changed")
    return Told(
        "The partner keeps a credential and checks it offline, without asking anybody",
        [
            f"SD-JWT VC with {len(made.fields)} fields, each disclosed by itself; one was shown",
            f"status VALID; a copy of the list may be relied on for {made.status_ttl_s} s",
            f"log entry {made.entry.index} commits to it and names nobody",
        ],
        [
            {"shown": "the name alone", "verdict": "holds"},
            {"shown": "another name", "verdict": "DISCLOSURE_ALTERED"},
            {"shown": "with a status list of an hour ago", "verdict": "STALE_STATUS_LIST"},
        ],
        {"fields": sorted(made.fields), "entry": made.entry.index},
    )


def _verify(scene: Scene, text: str, ahead_s: int = 0) -> Verified:
    """Verify as a partner does, with the files that the issuer publishes."""
    deployment = scene.stage.deployment
    folder = deployment.directory / deployment.settings.files.credentials
    trust = Trust.of((folder / ".well-known/jwt-vc-issuer").read_bytes())
    status = (folder / "statuslists/1").read_text()
    return verify(text, trust, Checks(seconds() + ahead_s, status_list=status))


def _refusal(scene: Scene, text: str, ahead_s: int = 0) -> str:
    try:
        _verify(scene, text, ahead_s)
    except CredentialError as error:
        return error.code
    return ""
