"""The port takes services by name only; that they answer is shown end to end."""

from gateway.serving.port import _Generic


class Server:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.generic: list[object] = []

    def add_generic_rpc_handlers(self, handlers: tuple[object, ...]) -> None:
        self.generic.extend(handlers)


def test_methods_are_not_registered_one_by_one():
    """What grpc.aio would do with them costs each call as much as there are methods."""
    server = Server()
    services = _Generic(server)
    services.add_generic_rpc_handlers(("found by name",))
    services.add_registered_method_handlers("xinguan.v1.Any", {"Method": object()})
    assert server.generic == ["found by name"]
