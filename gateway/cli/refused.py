"""What a running gateway refused, told as the command line tells refusals of its own."""

from typing import TYPE_CHECKING

from gateway.domain.errors import InvalidRequestError, Reason, UnavailableError, XinguanError

if TYPE_CHECKING:
    from xinguan.client import RefusedError


def as_told(refusal: "RefusedError") -> XinguanError:
    """Return a gateway's refusal as an error of this program, each reason with its clause.

    The message of the wire repeats code, clause and remedy for clients that show nothing else;
    here they have places of their own.
    """
    said = refusal.message.removeprefix(f"{refusal.code}: ").partition(" [")[0]
    kind = UnavailableError if refusal.status == "UNAVAILABLE" else InvalidRequestError
    return kind(
        refusal.code,
        said,
        reasons=[Reason(each.rule, each.code, tuple(each.fields)) for each in refusal.reasons],
        hints=[f"{each.remedy_en} ({each.clause_en})" for each in refusal.reasons],
    )
