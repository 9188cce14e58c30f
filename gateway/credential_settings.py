"""The settings of credentials: who issues them, how long they live, how their status is told."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FEWEST_ENTRIES = 131_072  # of a status list, so that a place in it tells nothing
MOST_ENTRIES = 1 << 24
_DAY_S = 86_400


def _issuer(text: str) -> str:
    """Refuse what is no origin of HTTPS; plain HTTP is for the loopback address alone."""
    if not text:
        return text
    parts = urlsplit(text)
    plain = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if not (plain or parts.scheme == "https") or f"{parts.scheme}://{parts.netloc}" != text:
        raise ValueError("must be empty, or https://HOST without a path")
    if not parts.hostname or parts.username or parts.password:
        raise ValueError("must name a host and hold no password")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


IssuerUrl = Annotated[str, AfterValidator(_issuer)]


class CredentialSettings(BaseModel):
    """How credentials are issued and their status is published."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    issuer: IssuerUrl = ""  # empty: none are issued
    validity_s: int = Field(default=7 * _DAY_S, ge=60, le=31 * _DAY_S)
    # A partner may rely on a copy of the list for so long; the answer says it.
    ttl_s: int = Field(default=300, ge=1, le=_DAY_S)
    list_lifetime_s: int = Field(default=_DAY_S, ge=60, le=7 * _DAY_S)
    list_entries: int = Field(default=1 << 20, ge=FEWEST_ENTRIES, le=MOST_ENTRIES, multiple_of=4)
    decoys: int = Field(default=0, ge=0, le=64)  # digests of nothing, in each credential
    publish_interval_ms: int = Field(default=100, ge=10, le=1_000)
    keep_s: int = Field(default=30 * _DAY_S, ge=0)  # whom one concerned, after its end
    http_listen: Annotated[str, Field(pattern=r"^([^\s/@]+:\d{1,5})?$")] = ""  # empty: not served
