"""Publicity feeds (R13): when a product was last reconciled with the publicity authorities."""

from audit.journal import Transaction
from gateway.domain.errors import ConflictError
from gateway.registry.act import Act, raise_version
from gateway.store.upsert import upsert


def reconciled(tx: Transaction, product: str, as_of: int, act: Act) -> None:
    """Record that a product agrees with the publicity authorities as of a time.

    Args:
        tx: The transaction.
        product: Product name.
        as_of: Unix seconds; never before the last one, never after the act.
        act: The circumstances.

    Raises:
        ConflictError: `CONFLICT` when the time goes back or lies ahead of the clock.
    """
    row = tx.execute("SELECT as_of FROM feeds WHERE product = ?", (product,)).fetchone()
    if as_of > act.now or (row is not None and as_of < row[0]):
        raise ConflictError("CONFLICT", "the feed's time goes back or lies in the future")
    tx.execute(
        upsert("feeds", "product, as_of, changed", "product"),
        (product, as_of, raise_version(tx)),
    )
