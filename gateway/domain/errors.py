"""What can go wrong, as one tree.

    XinguanError                 reason code, gRPC code
    |-- Unauthenticated          who calls is not known            UNAUTHENTICATED
    |-- Denied                   the policy or the law says no     PERMISSION_DENIED
    |-- InvalidRequest           the request is malformed          INVALID_ARGUMENT
    |-- NotFound                 the named thing is not there      NOT_FOUND
    |-- Conflict                 it was done already, differently  ALREADY_EXISTS
    |-- NotSupported             it is understood and not offered     UNIMPLEMENTED
    |-- Exhausted                a quota or a limit is used up     RESOURCE_EXHAUSTED
    |-- Unavailable              it can't be answered truthfully now  UNAVAILABLE
    `-- Internal                 a defect of ours                  INTERNAL

`message` and `hints` will be in the response. They hold no data values, no identifiers
of subjects, no paths and no SQL. The clause and the remedy for each reason code come
from the law tables (`policies/data/reasons.json`), joined by the doors.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: the rule that spoke and its stable code.

    Args:
        rule: Rule id of domain-rules section 9 (`R32`), or `GATE` for the gateway's own.
        code: UPPER_SNAKE reason code (AIP-193), a key of the law tables.
        fields: Names of the product fields it concerns; empty when it concerns the request.
    """

    rule: str
    code: str
    fields: tuple[str, ...] = ()


class XinguanError(Exception):
    """The root of every error that may leave the gateway."""

    grpc_code = "INTERNAL"

    def __init__(
        self, code: str, message: str, *, reasons: Sequence[Reason] = (), hints: Sequence[str] = ()
    ) -> None:
        """Keep what leaves: the reason code, a constant message, reasons and hints."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.reasons = tuple(reasons) or (Reason("GATE", code),)
        self.hints = tuple(hints)
        # The pipeline fills these in once the refusal stands in the log.
        self.request_id = ""
        self.denial_index = -1


class UnauthenticatedError(XinguanError):
    """The caller's certificate is not the pinned one of a registered party."""

    grpc_code = "UNAUTHENTICATED"


class DeniedError(XinguanError):
    """The decision is a denial; `reasons` holds all of them."""

    grpc_code = "PERMISSION_DENIED"


class InvalidRequestError(XinguanError):
    """The request is malformed or names something that is not in the contract."""

    grpc_code = "INVALID_ARGUMENT"


class NotFoundError(XinguanError):
    """The named party, licence, product or entry does not exist."""

    grpc_code = "NOT_FOUND"


class NotSupportedError(XinguanError):
    """The request is well formed and asks for something that the gateway does not offer."""

    grpc_code = "UNIMPLEMENTED"


class ConflictError(XinguanError):
    """The idempotency key or the identifier was used before for something else."""

    grpc_code = "ALREADY_EXISTS"


class ExhaustedError(XinguanError):
    """A quota of the licence or a limit of the node is used up."""

    grpc_code = "RESOURCE_EXHAUSTED"


class UnavailableError(XinguanError):
    """No truthful answer is possible now: policy, log, publicity or repair state is missing."""

    grpc_code = "UNAVAILABLE"


class InternalError(XinguanError):
    """A defect of ours; nothing of its cause leaves."""


def defect() -> InternalError:
    """Return what leaves of an exception that nobody expected: that it happened, no more."""
    return InternalError("INTERNAL", "the gateway failed; the operator was told")
