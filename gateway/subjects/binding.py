"""Who may ask about whose accesses: auditors about all, a subject about itself, an agent for it."""

from typing import Final, Protocol

from gateway.domain.errors import DeniedError, NotFoundError
from gateway.domain.licence import Consent
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Role
from gateway.registry.consents import subject_label

# The purpose that a consent must name for its recipient to ask on behalf of the subject.
SUBJECT_ACCESS: Final = "SUBJECT_ACCESS"


class Consents(Protocol):
    """The registry, as far as consents go."""

    def consent(self, consent_id: str, /) -> Consent | None:
        """Return a consent, whatever its state, or None."""


def require_own(
    view: Consents, caller: Caller, subject: str, consent_id: str, consent_key: bytes, now: int
) -> None:
    """Check that a caller asks about itself, or about one who lets it ask.

    An organisation is bound by its certificate: role SUBJECT, and a party id that is its code.
    Whoever has no certificate of this gateway, a natural person above all, lets a platform ask
    with a registered consent for the purpose `SUBJECT_ACCESS` that names the platform.

    Args:
        view: The registry.
        caller: Who calls.
        subject: Whose accesses are asked about.
        consent_id: The consent, or empty.
        consent_key: Key of the labels of consents.
        now: Unix seconds.

    Raises:
        DeniedError: `ROLE_FORBIDDEN` without any relation to the subject, `NOT_OWN_ACCESSES`
            when the relation is to another one.
        NotFoundError: `CONSENT_UNKNOWN`.
    """
    party = caller.party
    if not consent_id:
        if party.role is not Role.SUBJECT:
            raise DeniedError("ROLE_FORBIDDEN", "your role does not include this act")
        if party.party_id != f"uscc:{subject}":
            raise _not_own()
        return
    consent = view.consent(consent_id)
    if consent is None or consent.recipient != party.party_id:
        # Another's consent looks exactly like one that never was.
        raise NotFoundError("CONSENT_UNKNOWN", "no consent of this id names you")
    in_force = consent.not_before <= now < consent.not_after and consent.withdrawn_at is None
    covered = subject_label(consent_key, subject) in consent.subjects
    if not in_force or not covered or SUBJECT_ACCESS not in consent.purposes:
        raise _not_own()


def _not_own() -> DeniedError:
    return DeniedError("NOT_OWN_ACCESSES", "you may ask about accesses to yourself only")
