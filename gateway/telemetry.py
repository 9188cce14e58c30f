"""The node's own log (not the audit log): structured lines to standard error, redacted.

Identifiers of subjects, operators and cases have no business there; as a second line of
defence every value that looks like one is replaced before it is written.
"""

import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Codes of organisations and persons, LEIs, and tokens of persons, wherever they stand.
_IDENTIFIER = re.compile(
    r"\b(?:[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}|\d{17}[\dXx]|[0-9A-Z]{18}\d{2})\b"
)
REDACTED = "[redacted]"


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace whatever looks like an identifier in the values of a log line (DESIGN, invariant 6).

    Args:
        _logger: Not used; structlog passes it.
        _method: Not used; structlog passes it.
        event: The line.
    """
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _IDENTIFIER.sub(REDACTED, value)
        elif not isinstance(value, int | float | bool | None):
            event[name] = _IDENTIFIER.sub(REDACTED, str(value))
    return event


def configure_logging(*, json_lines: bool = False) -> None:
    """Set structlog up for a serving node.

    Args:
        json_lines: One JSON object a line instead of text for people.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.__stderr__),
        cache_logger_on_first_use=True,
    )
