"""Emergency stops (R87): all egress, one organisation's, or one product's, until lifted."""

import re

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.licence import StopOrder
from gateway.domain.party import parse_party_id
from gateway.registry.act import Act, raise_version
from gateway.store.upsert import upsert

ALL = "all"
_PRODUCT = re.compile(r"[a-z][a-z0-9_]{0,63}")


def parse_scope(text: str) -> str:
    """Return a scope in canonical form: `all`, `org:<party id>` or `product:<name>`.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for another shape, `BAD_ID` for a malformed party id.
    """
    kind, separator, value = text.strip().partition(":")
    if kind == ALL and not separator:
        return ALL
    if kind == "org":
        return f"org:{parse_party_id(value)}"
    if kind == "product" and _PRODUCT.fullmatch(value):
        return f"product:{value}"
    raise InvalidRequestError("BAD_REQUEST", "a scope is all, org:PARTY or product:NAME")


def order(tx: Transaction, scope: str, act: Act) -> StopOrder:
    """Stop egress at once, for running streams too, and log it.

    A scope need not name anything that is registered: in an emergency nothing stands between
    the operator and the stop.

    Raises:
        InvalidRequestError: as `parse_scope`.
        ConflictError: `CONFLICT` when the scope is stopped already.
    """
    canonical = parse_scope(scope)
    if _active(tx, canonical):
        raise ConflictError("CONFLICT", "this scope is stopped already")
    appended = tx.append(
        entries.stop_ordered(
            time=act.now, node=act.node, actor=act.actor, scope=canonical, reason=act.reason
        )
    )
    return _store(tx, StopOrder(canonical, appended.index), active=True)


def lift(tx: Transaction, scope: str, act: Act) -> StopOrder:
    """End a stop and log it; other stops that touch the same request still hold.

    Raises:
        InvalidRequestError: as `parse_scope`.
        NotFoundError: `NOT_FOUND` when the scope is not stopped.
    """
    canonical = parse_scope(scope)
    if not _active(tx, canonical):
        raise NotFoundError("NOT_FOUND", "this scope is not stopped")
    appended = tx.append(
        entries.stop_lifted(
            time=act.now, node=act.node, actor=act.actor, scope=canonical, reason=act.reason
        )
    )
    return _store(tx, StopOrder(canonical, appended.index), active=False)


def _active(tx: Transaction, scope: str) -> bool:
    row = tx.execute("SELECT active FROM stops WHERE scope = ?", (scope,)).fetchone()
    return row is not None and bool(row[0])


def _store(tx: Transaction, stop: StopOrder, *, active: bool) -> StopOrder:
    tx.execute(
        upsert("stops", "scope, active, log_index, changed", "scope"),
        (stop.scope, int(active), stop.index, raise_version(tx)),
    )
    return stop
