"""One builder for each kind of entry; `docs/audit-entries.md` explains them field by field.

Entries hold no released value, no subject and nothing guessable: such things stand here as
commitments (`audit.commitment`). Digests and commitments of 32 bytes are written as base64url
without padding (43 characters). Times are unix seconds. A reference to another entry is its
index, so that an auditor can walk from a release to whoever signed the ground it stands on.

This module holds the kinds that follow requests. The others are beside it, by what they are of, and
can be used from here too: `audit.acts` (the gateway and its operator), `audit.grants` (parties and
what they may do), `audit.border`, `audit.border_store` and `audit.export_entries` (the border's
registers, its store apart, and persons counted), `audit.credentials`, `audit.recognition`,
`audit.repairs` (repairs and recalls), `audit.index_entries`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from audit.acts import (
    contract_published,
    key_changed,
    log_opened,
    node_started,
    node_stopped,
    policy_activated,
    policy_approved,
    snapshot_admitted,
    stop_lifted,
    stop_ordered,
)
from audit.border import border_approved, border_proposed, border_registered, border_status
from audit.border_store import border_copied, border_destroyed
from audit.credentials import credential_issued, credential_status
from audit.entry_form import Digest, Entry, digest_text, make_entry
from audit.export_entries import export_declared, export_settled
from audit.foreign import (
    foreign_admitted,
    foreign_refreshed,
    issuer_approved,
    issuer_proposed,
    issuer_withdrawn,
)
from audit.grants import (
    certificate_pinned,
    certificate_revoked,
    consent_registered,
    consent_withdrawn,
    licence_activated,
    licence_status,
    party_registered,
    whitelist_approved,
    whitelist_proposed,
    whitelist_withdrawn,
)
from audit.index_entries import (
    hold_lifted,
    hold_placed,
    index_root,
    intents_open,
    openings_destroyed,
)
from audit.recognition import (
    recognition_approved,
    recognition_proposed,
    recognition_registered,
    recognition_withdrawn,
    report_issued,
)
from audit.repairs import (
    alarm,
    endpoint_declared,
    publicity_reconciled,
    recall,
    recall_acknowledged,
    recall_escalated,
    recall_probed,
    repair,
    suspension_closed,
    suspension_proposed,
)

__all__ = [
    "Digest", "Entry", "Use", "alarm", "audit_read", "batch", "border_approved", "border_copied",
    "border_destroyed",
    "border_proposed", "border_registered", "border_status", "certificate_pinned",
    "certificate_revoked", "consent_registered", "consent_withdrawn", "contract_published",
    "credential_issued", "credential_status", "denial", "digest_text", "endpoint_declared",
    "export_declared", "export_settled", "foreign_admitted", "foreign_refreshed",
    "hold_lifted", "hold_placed", "index_root", "intent", "intents_open", "issuer_approved",
    "issuer_proposed", "issuer_withdrawn", "key_changed", "licence_activated",
    "licence_status", "log_opened",
    "node_started", "node_stopped", "openings_destroyed", "outcome", "party_registered",
    "policy_activated", "policy_approved", "publicity_reconciled", "recall",
    "recall_acknowledged", "recall_escalated", "recall_probed", "recognition_approved",
    "recognition_proposed", "recognition_registered", "recognition_withdrawn", "repair",
    "report_issued", "snapshot_admitted", "stop_lifted",
    "stop_ordered", "suspension_closed", "suspension_proposed",
    "whitelist_approved", "whitelist_proposed", "whitelist_withdrawn",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """Who manages and who uses: the common part of intents and denials.

    What is not known yet when a request is refused is None or empty and is left out.

    Args:
        request: Request id.
        product: Product asked about.
        managers: Providing units (who manages), party ids.
        party: Organisation that asks (who uses), party id.
        certificate: Fingerprint of its certificate, a digest; of an intent, `pinned` leads to it.
        operator: Commitment to the human behind the call.
        case: Commitment to the case behind the call.
        purpose: Purpose code.
        scenario: Scenario code.
        destination: ISO 3166 code of where the data will be used.
        licence: Index of the entry that activated the licence.
        consent: Index of the entry that registered the consent.
        contract: Digest of the product's contract, where no `publication` leads to it.
        bundle: Digest of the policy bundle that decided.
        input: Digest of the decision's canonical input.
        decision: Digest of the decision in normal form.
        policy: Index of the entry that activated the policy bundle.
        run: Index of the entry with which the node started.
        publication: Index of the entry that published the contract.
        pinned: Index of the entry that pinned the certificate.
        whitelist: Index of the approval that completed the whitelist of fields (R68).
        border: Indexes of what an export rests on in the registers of the border.
        subject_count: Number of subjects asked about; 0 for the whole product.
        subjects: Commitment to the subjects.
        idempotency: Commitment to the idempotency key.
        signature: Digest of the caller's own signature on the request.
        end_user: Commitment to the user behind the caller, where one is named.
    """

    request: str
    product: str = ""
    managers: Sequence[str] = ()
    party: str = ""
    certificate: Digest | None = None
    operator: Digest | None = None
    case: Digest | None = None
    purpose: str = ""
    scenario: str = ""
    destination: str = ""
    licence: int | None = None
    consent: int | None = None
    contract: Digest | None = None
    bundle: Digest | None = None
    input: Digest | None = None
    decision: Digest | None = None
    policy: int | None = None
    run: int | None = None
    publication: int | None = None
    pinned: int | None = None
    whitelist: int | None = None
    border: Sequence[int] = ()
    subject_count: int | None = None
    subjects: Digest | None = None
    idempotency: Digest | None = None
    signature: Digest | None = None
    end_user: Digest | None = None


_USE_DIGESTS: Final = (
    "certificate", "operator", "case", "contract", "bundle", "input", "decision",
    "subjects", "idempotency", "signature", "end_user",
)  # fmt: skip
_USE_PLAIN: Final = ("product", "party", "purpose", "scenario", "destination")
_USE_NUMBERS: Final = (
    "licence", "consent", "policy", "run", "publication", "pinned", "whitelist", "subject_count",
)  # fmt: skip


def _use(use: Use) -> Entry:
    members: Entry = {"request": use.request}
    for name in _USE_PLAIN:
        if text := getattr(use, name):
            members[name] = text
    for name in _USE_NUMBERS:
        if (number := getattr(use, name)) is not None:
            members[name] = number
    for name in _USE_DIGESTS:
        if (digest := getattr(use, name)) is not None:
            members[name] = digest_text(digest)
    if use.managers:
        members["managers"] = list(use.managers)
    if use.border:
        members["border"] = list(use.border)
    return members


def _by_action(actions: Mapping[str, str]) -> dict[str, list[str]]:
    """Group field names by action: an entry names each action once."""
    groups: dict[str, list[str]] = {}
    for name in sorted(actions):
        groups.setdefault(actions[name], []).append(name)
    return groups


def intent(*, time: int, node: str, use: Use, snapshot: Digest, fields: Mapping[str, str]) -> Entry:
    """Say what is about to be released; durable before anything is read.

    Args:
        time: Unix seconds.
        node: Name of the node that will release.
        use: Who manages, who uses, on which ground.
        snapshot: Digest of the snapshot that answers.
        fields: Field name to action.
    """
    members = _use(use)
    members["snapshot"] = digest_text(snapshot)
    members["fields"] = _by_action(fields)
    return make_entry("intent", time, node, **members)


def batch(
    *, time: int, node: str, intent: int, number: int, rows: int, content: Digest, delivered: Digest
) -> Entry:
    """Say what one batch of a stream holds; durable before the batch is handed over.

    Args:
        time: Unix seconds.
        node: Name of the node.
        intent: Index of the intent.
        number: Number of the batch in its stream, from 0.
        rows: Rows in the batch.
        content: Commitment to the digest of the bytes.
        delivered: Commitment to which rows of the snapshot are released.
    """
    return make_entry(
        "batch",
        time,
        node,
        intent=intent,
        number=number,
        rows=rows,
        content=digest_text(content),
        delivered=digest_text(delivered),
    )


def outcome(
    *,
    time: int,
    node: str,
    intent: int,
    status: str,
    rows: int,
    size: int,
    content: Digest | None = None,
    field_root: Digest | None = None,
    delivered: Digest | None = None,
) -> Entry:
    """Say what became of an intent.

    Args:
        time: Unix seconds.
        node: Name of the node.
        intent: Index of the intent.
        status: `complete`, `cancelled`, or `failed:` and the reason code.
        rows: Rows released.
        size: Bytes released.
        content: Commitment to the digest of what was released.
        field_root: Root of the commitments of the fields of a small answer.
        delivered: Commitment to which rows of the snapshot a small answer holds.
    """
    members: Entry = {"intent": intent, "status": status, "rows": rows, "bytes": size}
    if content is not None:
        members["content"] = digest_text(content)
    if field_root is not None:
        members["field_root"] = digest_text(field_root)
    if delivered is not None:
        members["delivered"] = digest_text(delivered)
    return make_entry("outcome", time, node, **members)


def denial(*, time: int, node: str, use: Use, reasons: Sequence[tuple[str, str]]) -> Entry:
    """Say what was refused and why.

    Args:
        time: Unix seconds.
        node: Name of the node.
        use: Who asked for what, as far as it was known.
        reasons: (rule, reason code) pairs, all of them.
    """
    members = _use(use)
    members["reasons"] = [[rule, code] for rule, code in reasons]
    return make_entry("denial", time, node, **members)


def audit_read(
    *,
    time: int,
    node: str,
    actor: str,
    what: str,
    start: int | None = None,
    count: int | None = None,
    subject: Digest | None = None,
    reason: str = "",
) -> Entry:
    """Say that somebody read the log's entries, or who accessed a subject.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Party that read.
        what: `entries`, `accesses`, `receipt` and the like.
        start: First index read.
        count: Number of entries read.
        subject: Commitment to the subject looked for.
        reason: The reader's stated reason.
    """
    members: Entry = {"actor": actor, "what": what}
    if start is not None:
        members["start"] = start
    if count is not None:
        members["count"] = count
    if subject is not None:
        members["subject"] = digest_text(subject)
    if reason:
        members["reason"] = reason
    return make_entry("audit_read", time, node, **members)
