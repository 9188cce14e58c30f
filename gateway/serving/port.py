"""The one port: every service behind mutual TLS."""

from collections.abc import Sequence
from typing import Any, cast

import grpc

from gateway.deployment import Deployment
from gateway.domain.errors import UnavailableError
from gateway.doors.assembly import Doors, add_services
from gateway.doors.product_health import ProductHealth


async def open_port(
    deployment: Deployment, listen: str, doors: Doors, *, shares_port: bool
) -> tuple[grpc.aio.Server, ProductHealth, str]:
    """Return a server that is bound and not started, what keeps its health, and its address.

    Args:
        deployment: Whose certificate it shows and whose limits it keeps.
        listen: HOST:PORT; port 0 takes a free one.
        doors: What stands behind the services.
        shares_port: Other workers of the node listen on the same port.

    Raises:
        UnavailableError: `PORT_IN_USE`.
        XinguanError: As `Deployment.tls`: gRPC would tell wrong files as a port in use.
    """
    limits = deployment.settings.limits
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.max_request_bytes),
            ("grpc.max_metadata_size", 16 << 10),
            # A second gateway on the same port must fail, not share it unseen; workers of
            # one node share it on purpose, and their parent made sure that it was free.
            ("grpc.so_reuseport", int(shares_port)),
        ]
    )
    health = await add_services(cast("grpc.aio.Server", _Generic(server)), doors)
    tls = deployment.tls()
    credentials = grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=True
    )
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise UnavailableError(
            "PORT_IN_USE",
            f"can't listen on {listen}",
            hints=("another program listens there, or the address is not this machine's",),
        )
    return server, health, f"{listen.rpartition(':')[0]}:{port}"


class _Generic:
    """Hands services on to a server, found by name when a call comes.

    Generated code registers each method a second time by itself. grpc.aio then waits for a call of
    each, and goes through all of them at every call: with our 35 methods a fiftieth of a `Query`.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Hand on; generated code calls it."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Leave it at the generic handlers; generated code calls it."""
