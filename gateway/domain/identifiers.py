"""Identifiers of organisations and persons, with their check digits.

Sources: GB 32100-2015 (统一社会信用代码), GB 11643-1999 (公民身份号码), ISO 17442 (LEI).
The arithmetic is python-stdnum's; the vectors of domain-rules 3.2 pin it in the tests.
"""

import re
from functools import lru_cache

from stdnum import exceptions, lei
from stdnum.cn import ric, uscc
from stdnum.sg import uen

from gateway.domain.errors import InvalidRequestError

_REMEMBERED_CODES = 65_536  # well-formed ones; the check is pure, and callers come back to firms
_SSM = re.compile(
    r"\d{12}|\d{1,7}-[A-Z]"
)  # Malaysia: 12 digits since 2019, before that with a letter
# What a person is asked about by; an identity number never is one.
PERSON_TOKEN = re.compile(r"(?!\d{17}[\dXx]$)[0-9A-Za-z_\-]{8,64}")
_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}")
_REGISTRY_NUMBER = re.compile(r"[A-Z]{2}:[0-9A-Z][0-9A-Z.\-]{1,31}")


class MalformedIdentifierError(InvalidRequestError):
    """An identifier has the wrong shape or a wrong check digit; the value is not repeated."""


@lru_cache(maxsize=_REMEMBERED_CODES)
def parse_uscc(text: str) -> str:
    """Return the unified social credit code in its canonical form.

    Args:
        text: 18 characters; surrounding blanks and lower case are tolerated.

    Raises:
        MalformedIdentifierError: `BAD_ID` when the shape or the check digit is wrong (R02).
    """
    try:
        return str(uscc.validate(text.strip().upper()))
    except exceptions.ValidationError:
        raise MalformedIdentifierError(
            "BAD_ID", "not a unified social credit code (GB 32100): shape or check digit is wrong"
        ) from None


def parse_lei(text: str) -> str:
    """Return the legal entity identifier in its canonical form.

    Raises:
        MalformedIdentifierError: `BAD_ID` when the shape or the check digits are wrong.
    """
    code = text.strip().upper()
    try:
        # The library checks the digits alone, and takes a text of any length.
        if _LEI.fullmatch(code):
            return str(lei.validate(code))
    except exceptions.ValidationError:
        pass
    raise MalformedIdentifierError(
        "BAD_ID", "not a legal entity identifier (ISO 17442): shape or check digits are wrong"
    )


def parse_citizen_id(text: str) -> str:
    """Return the citizen identity number in its canonical form.

    Raises:
        MalformedIdentifierError: `BAD_ID` when shape, date or check digit is wrong.
    """
    try:
        return str(ric.validate(text.strip().upper()))
    except exceptions.ValidationError:
        raise MalformedIdentifierError(
            "BAD_ID", "not a citizen identity number (GB 11643): shape, date or digit is wrong"
        ) from None


def parse_registry_number(text: str) -> str:
    """Return a foreign registry number as `CC:NUMBER` (ISO 3166 country, local number).

    Raises:
        MalformedIdentifierError: `BAD_ID` when it is not of that shape.
    """
    canonical = text.strip().upper()
    if not _REGISTRY_NUMBER.fullmatch(canonical):
        raise MalformedIdentifierError(
            "BAD_ID", "a foreign registry number is written CC:NUMBER, for example SG:201912345K"
        )
    return canonical


def parse_local_number(text: str) -> str:
    """Return a foreign registry number as `CC:NUMBER`, checked as far as its country has rules.

    Singapore's UEN has a check character; Malaysia's SSM number only a shape. Numbers of other
    countries are taken as they are.

    Raises:
        MalformedIdentifierError: `BAD_ID`.
    """
    canonical = parse_registry_number(text)
    country, _, number = canonical.partition(":")
    try:
        if country == "SG":
            number = str(uen.validate(number))
    except exceptions.ValidationError:
        raise MalformedIdentifierError(
            "BAD_ID", "not a UEN of Singapore: shape or check character is wrong"
        ) from None
    if country == "MY" and not _SSM.fullmatch(number):
        raise MalformedIdentifierError(
            "BAD_ID", "not an SSM number of Malaysia: the shape is wrong"
        )
    return f"{country}:{number}"
