"""A partner abroad with penalties on its whitelist, on a site that lets it ask about several."""

import itertools
from dataclasses import replace
from pathlib import Path

from gateway.border import store_apart_copy
from gateway.config import CONFIG_NAME
from gateway.demo.cast import AUTHORITY, SECURITY
from gateway.demo.stage import Stage
from gateway.deployment import Deployment
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.registry import parties, whitelists
from gateway.registry.licences import GrantClaims
from tests.gateway.e2e.serving import Desk, Member, Site, copy_stage, fingerprint

FIELDS = ("uscc", "decision_no", "decided_on")
AS_PARTNER = {"purpose": "TRADE", "scenario": "MUTUAL_RECOGNITION", "destination": "SG"}
_numbers = itertools.count(201_910_000)


def bulk_stage(stage: Stage, root: Path, **limits: int) -> Stage:
    """Return a copy of a stage whose partners may ask about several subjects at once."""
    copied = copy_stage(stage, root)
    settings = copied.deployment.directory / CONFIG_NAME
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    with settings.open("a") as file:
        file.write(f"[limits]\n{lines}[switches]\nborder_bulk = true\n")
    return replace(copied, deployment=Deployment.open(root))


def small_copies(monkeypatch, rows: int = 8) -> None:
    """Make copies whose batches are small, so that streams have several."""
    monkeypatch.setattr(store_apart_copy, "BATCH_ROWS", rows)


def whitelist(
    desk: Desk, partner: str, fields=(*FIELDS, "dispute_flag"), product="admin_penalty"
) -> None:
    """Put a whitelist of fields into effect for a partner."""

    def job(tx):
        act = desk.act
        content = whitelists.content(
            partner=partner,
            product=product,
            version=whitelists.next_version(tx, partner, product),
            fields=fields,
            mechanism="",
            not_before=act.now,
        )
        whitelists.propose(tx, content, act)
        for player in (SECURITY, AUTHORITY):
            whitelists.approve(tx, content, parties.find(tx, player.party_id), act)

    desk.state.run(job)


def partner(site: Site, fields=FIELDS, product: str = "admin_penalty", **claims) -> Member:
    """Register a partner with a licence and a whitelist, and have copied what it may get."""
    desk = site.desk
    party_id = desk.register(Role.CROSS_BORDER_PARTNER, party_id=f"reg:SG:{next(_numbers)}K")
    identity = desk.issue(party_id)
    licence = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        grants={product: GrantClaims(fields=(*fields, "dispute_flag"))},
        purposes=("TRADE",),
        scenarios=("MUTUAL_RECOGNITION",),
        destinations=("SG",),
        **claims,
    )
    whitelist(desk, party_id, (*fields, "dispute_flag"), product)
    site.copy_abroad()
    return Member(party_id, identity, fingerprint(identity), licence)
