"""The HTTP doors of a witness: one to ask for cosignatures, one to see what it cosigned last."""

import asyncio

from aiohttp import web

from audit.errors import AuditUnavailableError
from audit.witness import Answer, Witness
from audit.witness_protocol import ADD_CHECKPOINT, MAX_REQUEST_BYTES

_WITNESS: web.AppKey[Witness] = web.AppKey("witness", Witness)


def witness_app(witness: Witness) -> web.Application:
    """Make the application of a witness.

    Args:
        witness: The witness; whoever made it closes it.
    """
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app[_WITNESS] = witness
    app.router.add_post(f"/{ADD_CHECKPOINT}", _add_checkpoint)
    app.router.add_get("/{origin:[0-9a-f]{64}}/checkpoint", _checkpoint)
    return app


async def _add_checkpoint(request: web.Request) -> web.Response:
    body = await request.read()
    try:
        answer = await asyncio.to_thread(request.app[_WITNESS].add_checkpoint, body)
    except AuditUnavailableError:
        answer = Answer(503, b"the witness can't keep anything now\n")
    return web.Response(
        status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type}
    )


async def _checkpoint(request: web.Request) -> web.Response:
    origin = request.match_info["origin"]
    note = await asyncio.to_thread(request.app[_WITNESS].latest, origin)
    if note is None:
        raise web.HTTPNotFound
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache"}
    return web.Response(body=note, headers=headers)
