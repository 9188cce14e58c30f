"""The bytes of intents: requests of one kind share a template, since two of them differ little."""

from collections.abc import Mapping
from dataclasses import replace

from audit import entries
from audit.entry_form import digest_text
from audit.entry_template import EntryTemplate
from gateway.domain.decision import Decision
from gateway.domain.facts import Facts
from gateway.release.trail import Trail
from gateway.release.use import links_of, use_of

_REMEMBERED = 4_096
_HOLES = ("request", "time", "subject_count")


class IntentEntries:
    """Encodes the intents of one node. Owner of the templates: the event loop."""

    def __init__(self, node: str, policy: int | None = None) -> None:
        """Remember nothing yet.

        Args:
            node: Name of the node in the entries.
            policy: Index of the entry that activated the policy in force.
        """
        self._node = node
        self._policy = policy
        self._templates: dict[object, EntryTemplate] = {}

    def encode(
        self,
        trail: Trail,
        facts: Facts,
        decision: Decision,
        snapshot_id: str,
        blinds: Mapping[str, bytes],
    ) -> bytes:
        """Return the bytes of an intent: those of `entries.intent`, canonical.

        Args:
            trail: The request on its way.
            facts: What the decision was made on.
            decision: The decision.
            snapshot_id: The snapshot that will be read.
            blinds: Commitments of the request by member, see `use.blinded`.
        """
        key = _kind(facts, decision, snapshot_id, blinds)
        template = self._templates.get(key)
        if template is None:
            template = self._make(trail, facts, decision, snapshot_id, blinds)
            if len(self._templates) >= _REMEMBERED:
                self._templates.clear()
            self._templates[key] = template
        values: dict[str, str | int] = {
            "request": trail.request_id,
            "time": trail.now,
            "subject_count": facts.request.concerned_count,
        }
        for name, digest in blinds.items():
            values[name] = digest_text(digest)
        return template.fill(values)

    def _make(
        self,
        trail: Trail,
        facts: Facts,
        decision: Decision,
        snapshot_id: str,
        blinds: Mapping[str, bytes],
    ) -> EntryTemplate:
        entry = entries.intent(
            time=trail.now,
            node=self._node,
            use=replace(use_of(trail, facts, decision, blinds), policy=self._policy),
            snapshot=snapshot_id,
            fields={name: action.value for name, action in decision.actions.items()},
        )
        return EntryTemplate(entry, (*_HOLES, *blinds))


def _kind(
    facts: Facts, decision: Decision, snapshot_id: str, blinds: Mapping[str, bytes]
) -> tuple[object, ...]:
    """Return everything that an intent says apart from what is filled in."""
    request, caller = facts.request, facts.caller
    return (
        # Not the input's: one input may be decided otherwise at another hour.
        decision.digest,
        decision.input_digest,
        decision.bundle_digest,
        snapshot_id,
        caller.certificate.fingerprint,
        caller.party.party_id,
        facts.product.digest,
        facts.product.name,
        None if facts.licence is None else facts.licence.index,
        None if facts.consent is None else facts.consent.index,
        *links_of(facts).values(),
        None if facts.border is None else facts.border.rests_on,
        request.purpose,
        request.scenario,
        request.destination,
        request.decided,
        tuple(blinds),
    )
