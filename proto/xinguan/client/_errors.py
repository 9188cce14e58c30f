"""What a call can end with, read from google.rpc.Status."""

import grpc
from google.rpc import error_details_pb2, status_pb2

from xinguan.v1 import types_pb2

_STATUS_KEY = "grpc-status-details-bin"


class TransportError(Exception):
    """The gateway could not be reached, or the deadline passed, without an answer of its own."""


class RefusedError(Exception):
    """The gateway refused, and said why.

    Args:
        code: Stable reason code of the first reason.
        message: The status message.
        refusal: All reasons, with clause and remedy in two languages.
        status: Name of the gRPC status code.
    """

    def __init__(self, code: str, message: str, refusal: types_pb2.Refusal, status: str) -> None:
        """Keep the refusal as it came."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.refusal = refusal
        self.status = status

    @property
    def reasons(self) -> list[types_pb2.Reason]:
        """Every reason, the first of them decisive for `code`."""
        return list(self.refusal.reasons)


def read_error(error: grpc.aio.AioRpcError) -> RefusedError | TransportError:
    """Return what a failed call means."""
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_KEY and isinstance(value, bytes):
            return _read_status(status_pb2.Status.FromString(value), error)
    return TransportError(f"{error.code().name}: {error.details()}")


def _read_status(status: status_pb2.Status, error: grpc.aio.AioRpcError) -> RefusedError:
    info = error_details_pb2.ErrorInfo()
    refusal = types_pb2.Refusal()
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(types_pb2.Refusal.DESCRIPTOR):
            detail.Unpack(refusal)
    return RefusedError(info.reason, status.message, refusal, error.code().name)
