"""Refusals outside the road of a request: they too stand in the log before the caller reads them.

The road (`gateway.release.pipeline`) logs its own. What a door refuses by itself, an act that a
role may not do, a ticket that was altered, a product that isn't granted, is logged here.
"""

import os
from typing import Any, NoReturn

import grpc

from audit.errors import AuditUnavailableError
from gateway.domain.errors import (
    UnauthenticatedError,
    UnavailableError,
    XinguanError,
)
from gateway.doors.errors import LawTexts, abort
from gateway.doors.peer import peer_certificate
from gateway.identity.peer import identify
from gateway.release.identifiers import request_id
from gateway.release.trail import Trail
from gateway.release.world import World

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method


async def refuse(context: _Context, error: Exception, world: World, law: LawTexts) -> NoReturn:
    """Log a refusal that isn't in the log yet, and end the call with it.

    Args:
        context: The call.
        error: What was raised.
        world: For the log, the registry and the clock.
        law: Where the clauses and remedies are.
    """
    if isinstance(error, AuditUnavailableError):
        error = UnavailableError(
            "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing changed"
        )
    if isinstance(error, XinguanError):
        await log_refusal(context, error, world)
    await abort(context, error, law)


async def log_refusal(context: _Context, error: XinguanError, world: World) -> None:
    """Log a refusal that isn't in the log yet.

    What can't be answered now (UNAVAILABLE) is no refusal and is not logged.

    Args:
        context: The call.
        error: What was raised; it is told its request id and its log index.
        world: For the log, the registry and the clock.
    """
    if isinstance(error, UnavailableError) or error.request_id:
        return
    clock_ms = world.clock_ms()
    trail = Trail(request_id(clock_ms, os.urandom(10)), clock_ms, b"")
    try:
        trail.peer = peer_certificate(context)
        trail.caller = identify(trail.peer, world.registry.view(), trail.now)
    except UnauthenticatedError:
        pass  # An unknown caller is logged by the digest of what it showed.
    error.request_id = trail.request_id
    error.denial_index = await world.evidence.denial(trail, error)
