"""How a subject is named by whoever looks it up: as in requests, or the log would not find it."""

import re

from gateway.domain.errors import InvalidRequestError
from gateway.domain.identifiers import PERSON_TOKEN, parse_uscc
from gateway.inbound.identifiers import parse_foreign_id

_CODE = re.compile(r"(?i)[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}")


def canonical_subject(text: str) -> str:
    """Return a subject in the form in which requests name it and labels are made of it.

    A label of any other form matches no entry: a hold on it would protect nobody, and whoever
    asks who accessed it would be told that nobody did.

    Args:
        text: A unified social credit code, bare or as `uscc:…`; `lei:…` or `reg:CC:NUMBER` of a
            foreign firm; or a person's token.

    Raises:
        InvalidRequestError: `BAD_ID` when it is none of them.
    """
    clean = text.strip()
    scheme, _, value = clean.partition(":")
    if scheme.lower() in ("lei", "reg"):
        return parse_foreign_id(clean)
    bare = value if scheme.lower() == "uscc" else clean
    if _CODE.fullmatch(bare) or bare is not clean:
        return parse_uscc(bare)
    if not PERSON_TOKEN.fullmatch(bare):
        raise InvalidRequestError(
            "BAD_ID",
            "a subject is a social credit code, lei:…, reg:CC:NUMBER, or a person's token",
        )
    return bare
