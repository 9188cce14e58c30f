"""What a server's certificate answers for: an address, or a host name in ASCII."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

# Underscores and a star as the first label are no host names, yet stand in certificates.
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(\*\.)?({_LABEL}\.)*(?![0-9]+$){_LABEL}")
_GREATEST_HOST_NAME = 253  # characters


def _server_name(text: str) -> str:
    """Refuse what no certificate can name as a server."""
    if _is_address(text) or (
        len(text) <= _GREATEST_HOST_NAME and _HOST_NAME.fullmatch(text) is not None
    ):
        return text
    raise ValueError(
        "must be an IP address, or a host name in ASCII without a port; "
        "an internationalised name stands in its xn-- form"
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone belongs to one machine


ServerName = Annotated[str, AfterValidator(_server_name)]
