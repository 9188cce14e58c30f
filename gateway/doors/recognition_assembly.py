"""What the door of `RecognitionService` is served from, put together once at start."""

from collections.abc import Callable
from typing import Any

from gateway.config import Settings
from gateway.deployment import Secrets
from gateway.doors.recognition import RecognitionDesk
from gateway.doors.recognition_report import ReportDesk
from gateway.recognition.identifiers import IdentifierBook
from gateway.recognition.report_snapshot import PRODUCT, ReportRegister
from gateway.recognition.reports import tag_key
from gateway.release.world import World
from gateway.store.state import State


def open_recognition(
    state: State,
    world: World,
    secrets: Secrets,
    settings: Settings,
    closing: list[Callable[[], Any]],
) -> RecognitionDesk:
    """Return the desk, and let the road read the register of issued reports.

    Args:
        state: The state.
        world: The road's ports.
        secrets: The gateway's keys.
        settings: How long a report can be confirmed as valid, among others.
        closing: Takes what is to be closed at the end.
    """

    def current(product: str) -> str | None:
        # Its id alone: no record of it is read, so a check from abroad stays within M58.
        snapshot = world.library.current(product)
        return None if snapshot is None else snapshot.snapshot_id

    key, book = tag_key(secrets.index_key), IdentifierBook(state.connect())
    register = ReportRegister(
        state.connect(), world.products[PRODUCT], lambda: world.clock_ms() // 1000, current
    )
    desk = ReportDesk(state, world, book, settings.limits.report_validity_s, key)
    closing += (register.close, book.close)
    world.registers[PRODUCT] = register.moment
    return RecognitionDesk(book, desk, key)
