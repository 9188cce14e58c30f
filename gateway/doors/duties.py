"""Which role may do which administrative act. Duties stay apart (等保; DESIGN, keys and duties).

A role that is not named for an act may not do it. None of these acts releases credit data;
those that do are decided by the policy.
"""

from enum import StrEnum

from gateway.domain.errors import DeniedError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Role


class Duty(StrEnum):
    """An administrative act."""

    LICENCE = "LICENCE"
    REGISTER_CONSENT = "REGISTER_CONSENT"
    WITHDRAW_CONSENT = "WITHDRAW_CONSENT"
    STOP = "STOP"
    REPAIR = "REPAIR"
    READ_LOG = "READ_LOG"


_REGULATORS = {Role.REGULATOR_COMPETENT, Role.REGULATOR_DATA, Role.REGULATOR_PBOC}
_PERMITTED: dict[Duty, frozenset[Role]] = {
    Duty.LICENCE: frozenset({Role.SECURITY_ADMIN, Role.AUTHORITY}),
    Duty.REGISTER_CONSENT: frozenset({Role.CONSENT_ISSUER}),
    Duty.WITHDRAW_CONSENT: frozenset({Role.CONSENT_ISSUER}),
    Duty.STOP: frozenset({Role.SECURITY_ADMIN, Role.AUTHORITY, *_REGULATORS}),
    # A subject hands in only what it signed itself; `gateway.repair.publish` sees to it.
    Duty.REPAIR: frozenset({Role.AUTHORITY, Role.SUBJECT}),
    Duty.READ_LOG: frozenset({Role.AUDITOR, Role.AUDIT_ADMIN, *_REGULATORS}),
}


def includes(caller: Caller, duty: Duty) -> bool:
    """Say whether a caller's role includes a duty."""
    return caller.party.role in _PERMITTED[duty]


def require(caller: Caller, duty: Duty) -> None:
    """Check that a caller's role includes a duty.

    Raises:
        DeniedError: `NOT_AUTHORITY` for repairs, `ROLE_FORBIDDEN` otherwise.
    """
    if includes(caller, duty):
        return
    if duty is Duty.REPAIR:
        raise DeniedError("NOT_AUTHORITY", "only the authority publishes repair decisions")
    raise DeniedError("ROLE_FORBIDDEN", "your role does not include this act")
