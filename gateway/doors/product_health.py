"""Health of each product, as gRPC's own health service tells it (R13).

The service names are `xinguan.product.NAME`. A product whose feed is stale, whose records are
missing, or that can't be served because the node's clock is lost is NOT_SERVING; `Watch` tells
the change. The services themselves go on: an empty name and the names of services stay SERVING.
"""

import asyncio

import structlog
from grpc_health.v1 import health, health_pb2

from gateway.domain.errors import XinguanError
from gateway.release.availability import available
from gateway.release.world import World

PREFIX = "xinguan.product."
_log = structlog.get_logger(__name__)
_STATUS = health_pb2.HealthCheckResponse


class ProductHealth:
    """Keeps the status of every product of the catalogue up to date."""

    def __init__(self, servicer: health.aio.HealthServicer, world: World) -> None:
        """Take the health service and what it tells of."""
        self._servicer = servicer
        self._world = world
        self._told: dict[str, bool] = {}

    def serving(self, product: str) -> bool:
        """Tell what was told last of a product."""
        return self._told.get(product, False)

    async def update(self) -> None:
        """Set the status of each product that changed."""
        for name, product in self._world.products.items():
            try:
                serving = available(self._world, product)
            except XinguanError:  # a damaged snapshot, or a state that can't be read
                serving = False
            if self._told.get(name) is serving:
                continue
            self._told[name] = serving
            status = _STATUS.SERVING if serving else _STATUS.NOT_SERVING
            await self._servicer.set(PREFIX + name, status)
            _log.info("product_health", product=name, serving=serving)

    async def update_always(self, interval_ms: int) -> None:
        """Update at every interval until cancelled."""
        while True:
            try:
                await self.update()
            except Exception as error:
                _log.error("health_failed", type=type(error).__name__)
            await asyncio.sleep(interval_ms / 1000)
