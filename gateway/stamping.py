"""Time-stamps of the log while the gateway serves: at every interval, one over the newest tree."""

import asyncio

import structlog

from audit.errors import AuditError, NoteError
from audit.timestamp_client import stamp_newest
from audit.timestamps import TimestampAuthority
from gateway.config import ConfigError
from gateway.deployment import Deployment

_log = structlog.get_logger(__name__)
_RETRY_S = 60


def timestamp_authority(deployment: Deployment) -> TimestampAuthority | None:
    """Return the authority that the settings trust, or None when they name none.

    Raises:
        ConfigError: `BAD_CERTIFICATE` when its certificates are missing or can't be used.
    """
    settings = deployment.settings.timestamps
    if not settings.certificates:
        if settings.url:
            raise ConfigError("BAD_CERTIFICATE", "timestamps.certificates must name a file")
        return None
    try:
        return TimestampAuthority((deployment.directory / settings.certificates).read_bytes())
    except (OSError, NoteError):
        raise ConfigError(
            "BAD_CERTIFICATE", "the certificates of the time-stamp authority can't be used"
        ) from None


async def stamp_always(deployment: Deployment, authority: TimestampAuthority) -> None:
    """Have the newest checkpoint stamped at every interval; a failure is told and tried again."""
    settings = deployment.settings.timestamps
    while True:
        pause_s = settings.interval_s
        try:
            await stamp_newest(deployment.log_directory, settings.url, authority)
        except AuditError as error:
            _log.warning("timestamp_failed", type=type(error).__name__)
            pause_s = min(pause_s, _RETRY_S)
        await asyncio.sleep(pause_s)
