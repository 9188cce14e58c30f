"""Where files are: a path of this machine or an object store with the S3 interface."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pyarrow import fs

from adapters.errors import SourceError


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach the object store; no credentials, they come from the environment.

    Args:
        region: Region, empty for the environment's.
        endpoint: `host:port` of a store that is not AWS, empty for AWS.
        scheme: `https`, or `http` for a store on the same machine.
        connect_timeout_s: Seconds to wait for a connection.
        request_timeout_s: Seconds to wait for an answer.
    """

    region: str = ""
    endpoint: str = ""
    scheme: Literal["http", "https"] = "https"
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 30.0


def resolve(location: str, s3: S3Options | None) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path in it.

    Raises:
        SourceError: `BAD_LOCATION` for another scheme, or for a location that carries
            credentials or options: the catalogue is not the place for them.
    """
    if "://" not in location:
        return fs.LocalFileSystem(), str(Path(location).absolute())
    try:
        parts = urlsplit(location)
    except ValueError:
        raise SourceError("BAD_LOCATION", "the location is no URL") from None
    if parts.scheme != "s3":
        raise SourceError("BAD_LOCATION", "only local paths and s3:// locations are read")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SourceError("BAD_LOCATION", "a location must not carry credentials or options")
    options = s3 or S3Options()
    filesystem = fs.S3FileSystem(
        region=options.region or None,
        endpoint_override=options.endpoint or None,
        scheme=options.scheme,
        connect_timeout=options.connect_timeout_s,
        request_timeout=options.request_timeout_s,
    )
    return filesystem, f"{parts.netloc}{parts.path}".rstrip("/")
