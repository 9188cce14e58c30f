"""The registry in miniature again, for the registers above it; on each kind of database."""

from tests.gateway.registry.conftest import world

__all__ = ["world"]
