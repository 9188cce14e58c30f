"""Which members of an entry are indexes of other entries, and what stands there.

The chain of responsibility, the closure of an evidence pack and their checks all walk along
this table, so that no link is known to one of them only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Told = Mapping[str, Any]  # an entry, parsed
_REQUEST: Final = {
    "licence": "licence_activated",
    "consent": "consent_registered",
    "policy": "policy_activated",
    "run": "node_started",
    "publication": "contract_published",
    "pinned": "certificate_pinned",
    "whitelist": "whitelist_approved",
    "border": "border_registered",
}
REFERENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "intent": _REQUEST,
    "denial": _REQUEST,
    "batch": {"intent": "intent"},
    "outcome": {"intent": "intent"},
    "policy_activated": {"approvals": "policy_approved"},
    "node_started": {"registration": "party_registered"},
    "certificate_pinned": {"registration": "party_registered"},
    "licence_activated": {"registration": "party_registered"},
    "consent_withdrawn": {"consent": "consent_registered"},
    "whitelist_approved": {"proposal": "whitelist_proposed", "earlier": "whitelist_approved"},
    "whitelist_withdrawn": {"proposal": "whitelist_proposed"},
    "border_approved": {"proposal": "border_proposed"},
    "border_registered": {"proposal": "border_proposed", "approvals": "border_approved"},
    "border_status": {"registered": "border_registered", "proposal": "border_proposed"},
    "issuer_approved": {"proposal": "issuer_proposed", "earlier": "issuer_approved"},
    "issuer_withdrawn": {"proposal": "issuer_proposed"},
    "foreign_admitted": {"registration": "issuer_approved"},
    "recognition_approved": {
        "proposal": "recognition_proposed",
        "earlier": "recognition_approved",
    },
    "recognition_withdrawn": {
        "proposal": "recognition_proposed",
        "registration": "recognition_registered",
    },
    "report_issued": {"intents": "intent"},
    "border_copied": {"whitelists": "whitelist_approved"},
    "recall": {"repair": "repair", "first": "intent", "last": "intent"},
    "recall_acknowledged": {"recall": "recall"},
    "recall_escalated": {"recall": "recall"},
    "recall_probed": {"recall": "recall"},
    "suspension_proposed": {"recalls": "recall"},
    "suspension_closed": {"proposal": "suspension_proposed"},
    "credential_issued": {"intent": "intent"},
    "hold_lifted": {"placed": "hold_placed"},
    "index_root": {"destruction": "openings_destroyed"},
    "export_settled": {"released": "intent", "sent": "intent"},
}


@dataclass(frozen=True, slots=True)
class Reference:
    """One link.

    Args:
        member: The member that holds the index.
        index: Index of the entry it leads to.
        kind: The kind that must stand there.
    """

    member: str
    index: int
    kind: str


def references(entry: Told) -> Iterator[Reference]:
    """Yield the links of an entry, in order of their members."""
    for member, kind in sorted(REFERENCES.get(str(entry.get("kind")), {}).items()):
        value = entry.get(member)
        for index in value if isinstance(value, list) else [] if value is None else [value]:
            yield Reference(member, index, kind)
