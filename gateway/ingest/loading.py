"""Loading a product: a file becomes the snapshot that is served, and the log says so."""

from dataclasses import dataclass
from pathlib import Path

from adapters.files import FileSource
from adapters.source import SourceError
from audit import acts
from audit.journal import Transaction
from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Product
from gateway.ingest.labelling import LabellingSource
from gateway.ingest.screening import Screened, ScreeningSource
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.arrow_schema import arrow_schema
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded.

    Args:
        product: Product name.
        snapshot: Its snapshot.
        index: Log index of the admission.
        screened: Rows that came in and were held back.
        quarantine: The file that names those held back; None when there are none.
    """

    product: str
    snapshot: Snapshot
    index: int
    screened: Screened
    quarantine: Path | None


def load_product(
    state: State,
    library: SnapshotLibrary,
    product: Product,
    path: Path | str,
    act: Act,
    *,
    quarantined: int = 0,
    as_of: int | None = None,
    batch_rows: int = 32_768,
) -> Loaded:
    """Admit a file as the current snapshot of a product, and log it.

    Args:
        state: The open state; its log gets the admission.
        library: Where snapshots are kept.
        product: The contract that the file must meet.
        path: Parquet, CSV or IPC; local or S3.
        act: The circumstances.
        quarantined: Rows that were held back before, for the coverage statement.
        as_of: Unix seconds at which the records were right; by default now. For a product
            bound to publicity this is also when its feed was last reconciled (R13).
        batch_rows: Rows of a batch of a stream.

    Raises:
        InvalidRequestError: `SOURCE_FAILED` when the file can't be read or doesn't meet the
            contract; what was served before is served still.
    """
    moment = act.now if as_of is None else as_of
    schema = arrow_schema(product)
    admitted: list[int] = []

    def announce(manifest: Manifest) -> None:
        admitted.append(state.run(lambda tx: _log(tx, manifest, product, act, moment)))

    try:
        read = FileSource(str(path), expected=schema)
        place = library.quarantine(product.name)
        source = ScreeningSource(read, product, place, library.current(product.name))
        snapshot = library.admit_and_activate(
            LabellingSource(source, product),
            product,
            schema,
            now=act.now,
            as_of=moment,
            quarantined=lambda: quarantined + source.found.held,
            batch_rows=batch_rows,
            announce=announce,
        )
    except SourceError as error:
        raise InvalidRequestError("SOURCE_FAILED", f"{product.name}: {error}") from None
    held_back = place if source.found.held else None
    return Loaded(product.name, snapshot, admitted[0], source.found, held_back)


def _log(tx: Transaction, manifest: Manifest, product: Product, act: Act, moment: int) -> int:
    """Log the admission before it is served, and that its feed was reconciled; return the index."""
    if product.feed_limit_s:
        feeds.reconciled(tx, product.name, moment, act)
    entry = acts.snapshot_admitted(
        time=act.now,
        node=act.node,
        actor=act.actor,
        product=product.name,
        snapshot=manifest.snapshot_id,
        contract=product.digest,
        as_of=moment,
        rows=manifest.rows,
        quarantined=manifest.quarantined,
    )
    return tx.append(entry).index
