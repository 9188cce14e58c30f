"""`xinguan policy approve`: who answers for a bundle, in the log before it decides."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import HERE, AsJson, Home, read_text, session, show
from gateway.decision.bundle import DEFAULT_POLICIES, load
from gateway.identity.keyfiles import read_document_key
from gateway.registry import policy_approvals
from gateway.registry.documents import sign
from gateway.registry.policy_approvals import APPROVAL_TYPE, PolicyApprovalClaims


def approve_command(
    key: Annotated[
        Path | None, typer.Option(help="The approver's document key: signs the approval here.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option(help="An approval that was signed elsewhere.")
    ] = None,
    policies: Annotated[
        Path, typer.Option(help="The policies directory whose bundle is approved.")
    ] = DEFAULT_POLICIES,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Record that a bundle was approved; the entry that activates it will cite the approval.

    The approver is an organisation of the role SECURITY_ADMIN, AUTHORITY or
    REGULATOR_COMPETENT, and signs the digest of the bundle with a registered document key.
    """
    if (key is None) == (document is None):
        raise typer.BadParameter("give --key, or a signed --document")
    if key is not None:
        claims = PolicyApprovalClaims(v=1, bundle=load(policies).digest)
        signed = sign(claims, read_document_key(key), APPROVAL_TYPE)
    else:
        signed = read_text(document) if document else ""
    with session(home) as opened:
        bundle, role, index = opened.run(
            lambda tx: policy_approvals.approve_signed(tx, signed, opened.act)
        )
    told = {"bundle": bundle, "role": role.value, "entry": index}
    show(told, as_json, title="Approval recorded")
