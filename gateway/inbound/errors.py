"""Why a foreign document is not admitted: one stable code each, with its text in the law tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.credential.errors import CredentialError, DisclosureRulesError
from gateway.domain.errors import InvalidRequestError, Reason

_CODES = {
    "CREDENTIAL_FORGED": "FOREIGN_SIGNATURE",
    "DISCLOSURE_ALTERED": "FOREIGN_DISCLOSURE",
    "HOLDER_NOT_PROVEN": "FOREIGN_HOLDER",
}


class ForeignDocumentError(InvalidRequestError):
    """A document, or the status list beside it, that nothing may rest on.

    The message says what is wrong and repeats no value: the document is somebody else's, and its
    subject may stand in it.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the one reason.

        Args:
            code: One of the `FOREIGN_` codes of `policies/data/reasons.json`.
            message: What is wrong, in a sentence.
        """
        super().__init__(code, message, reasons=[Reason("GATE", code)])


def malformed(message: str) -> ForeignDocumentError:
    """Return the refusal of what is not of the form that it claims."""
    return ForeignDocumentError("FOREIGN_MALFORMED", message)


def untimely(message: str) -> ForeignDocumentError:
    """Return the refusal of what is not valid now."""
    return ForeignDocumentError("FOREIGN_TIME", message)


def unsigned(message: str) -> ForeignDocumentError:
    """Return the refusal of what none of the issuer's keys signed as it stands."""
    return ForeignDocumentError("FOREIGN_SIGNATURE", message)


@contextmanager
def as_foreign() -> Iterator[None]:
    """Say what is wrong with a token in the words of foreign documents.

    Raises:
        ForeignDocumentError: For each CredentialError: what is wrong is the same, what helps isn't.
    """
    try:
        yield
    except CredentialError as error:
        rules = isinstance(error, DisclosureRulesError)
        code = "FOREIGN_DISCLOSURE" if rules else _CODES.get(error.code, "FOREIGN_MALFORMED")
        raise ForeignDocumentError(code, error.message) from None
