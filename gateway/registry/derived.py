"""What a product that is computed from records was computed from (R13).

It may be served only while the publicity of every adverse product behind it is known: its own feed
is as old as the oldest of theirs, so that R13 decides on it as on them.
"""

from collections.abc import Collection, Mapping

from audit.journal import Transaction
from gateway.registry.act import raise_version
from gateway.store.migration import Statements


def add_sources(tx: Transaction, product: str, sources: Collection[str]) -> None:
    """Bind a product to these sources besides those that it is bound to already.

    Args:
        tx: The transaction.
        product: The derived product.
        sources: Products bound to publicity that its values rest on.
    """
    for source in sorted(sources):
        tx.execute(
            "INSERT INTO derived_sources (product, source) VALUES (?, ?)"
            " ON CONFLICT (product, source) DO NOTHING",
            (product, source),
        )
    raise_version(tx)


def only_sources(tx: Transaction, product: str, sources: Collection[str]) -> None:
    """Bind a product to these sources and no others.

    Args:
        tx: The transaction.
        product: The derived product.
        sources: Products bound to publicity that its values rest on.
    """
    tx.execute("DELETE FROM derived_sources WHERE product = ?", (product,))
    add_sources(tx, product, sources)


def read_sources(connection: Statements) -> Mapping[str, tuple[str, ...]]:
    """Return each derived product with the sources that it is bound to."""
    rows = connection.execute(
        "SELECT product, source FROM derived_sources ORDER BY product, source"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for product, source in rows:
        found.setdefault(product, []).append(source)
    return {product: tuple(sources) for product, sources in found.items()}
