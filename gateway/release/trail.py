"""What is known of a request as it moves along."""

from dataclasses import dataclass

from gateway.domain.decision import Decision
from gateway.domain.party import Caller
from gateway.domain.request import ExchangeRequest


@dataclass(slots=True)
class Trail:
    """What is known of a request so far; a refusal is logged with as much as there is."""

    request_id: str
    now_ms: int
    peer: bytes
    caller: Caller | None = None
    request: ExchangeRequest | None = None
    product: str = ""
    view_version: int = -1
    decision: Decision | None = None

    @property
    def now(self) -> int:
        """Unix seconds of the request's arrival."""
        return self.now_ms // 1000
