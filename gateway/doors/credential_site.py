"""The files of an issuer over HTTP while the gateway serves: keys, types, status lists.

Any static server can do the same from the folder (docs/cross-border-credential.md). No path of a
request becomes a path of the file system unless it has one of the few known forms.
"""

import re
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.credential.metadata import ISSUER_PATH, KEYS_PATH

_KNOWN: Final = re.compile(
    rf"/({re.escape(ISSUER_PATH)}|{re.escape(KEYS_PATH)}"
    r"|vct/[a-z][a-z0-9_]{0,63}/[0-9]{1,4}(?:\.[0-9]{1,4}){0,2}|statuslists/[1-9][0-9]{0,8})",
    re.ASCII,
)
_LISTS: Final = "statuslists/"
_JSON, _LIST_TYPE = "application/json", "application/statuslist+jwt"


def credential_app(folder: Path, ttl_s: int) -> web.Application:
    """Return an application that serves an issuer's folder, read-only.

    Args:
        folder: What `gateway.credential.publication` writes.
        ttl_s: For how long a copy of a status list may be kept; caches are told the same.
    """

    async def serve(request: web.Request) -> web.StreamResponse:
        known = _KNOWN.fullmatch(request.path)
        if known is None:
            raise web.HTTPNotFound
        is_list = known[1].startswith(_LISTS)
        try:
            body = (folder / known[1]).read_bytes()
        except OSError:
            raise web.HTTPNotFound from None
        headers = {
            "Content-Type": _LIST_TYPE if is_list else _JSON,
            "Cache-Control": f"public, max-age={ttl_s}",
            "Access-Control-Allow-Origin": "*",  # verifiers run in browsers too
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    return app
