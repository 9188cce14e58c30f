"""Alarms of this room: see `gateway.registry.alarms`, which rooms below raise them with too."""

from gateway.registry.alarms import raise_alarm

__all__ = ["raise_alarm"]
