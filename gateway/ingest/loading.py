"""Loading a product: a source becomes the snapshot that is served, and the log says so."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from adapters.files import FileSource
from adapters.source import Source, SourceError
from audit import acts
from audit.journal import Transaction
from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Product
from gateway.ingest.labelling import LabellingSource
from gateway.ingest.returns import SCHEMA as RETURNS
from gateway.ingest.returns import records_to_return
from gateway.ingest.screening import Screened, ScreeningSource
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.alarms import raise_alarm
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
        returns: Records that go back to their source, see `gateway.ingest.returns`.
    """

    product: str
    snapshot: Snapshot
    index: int
    screened: Screened
    quarantine: Path | None
    returns: pa.Table


def load_product(
    state: State,
    library: SnapshotLibrary,
    product: Product,
    origin: Path | str | Source,
    act: Act,
    *,
    quarantined: int = 0,
    as_of: int | None = None,
    batch_rows: int = 32_768,
) -> Loaded:
    """Admit a source's records as the current snapshot of a product, and log it.

    Args:
        state: The open state; its log gets the admission.
        library: Where snapshots are kept.
        product: The contract that the records must meet.
        origin: A file (Parquet, CSV or IPC; local or S3), or an open source; it stays open.
        act: The circumstances.
        quarantined: Rows that were held back before, for the coverage statement.
        as_of: Unix seconds at which the records were right; by default now. For a product
            bound to publicity this is also when its feed was last reconciled (R13).
        batch_rows: Rows of a batch of a stream.

    Raises:
        InvalidRequestError: `SOURCE_FAILED` when the source can't be read or doesn't meet
            the contract; what was served before is served still.
    """
    moment = act.now if as_of is None else as_of
    schema = arrow_schema(product)
    admitted: list[int] = []
    returns: list[pa.Table] = []

    def announce(manifest: Manifest) -> None:
        returns.append(_returns(library, product, manifest))
        late = returns[0].num_rows
        admitted.append(state.run(lambda tx: _log(tx, manifest, product, act, moment, late)))

    try:
        read = origin
        if isinstance(read, str | Path):
            read = FileSource(str(read), expected=schema)
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
    return Loaded(product.name, snapshot, admitted[0], source.found, held_back, returns[0])


def _returns(library: SnapshotLibrary, product: Product, manifest: Manifest) -> pa.Table:
    snapshot = library.pinned(product.name, manifest.snapshot_id)
    if snapshot is None or not product.adverse:
        return RETURNS.empty_table()
    return records_to_return(snapshot, product)


def _log(
    tx: Transaction, manifest: Manifest, product: Product, act: Act, moment: int, late: int
) -> int:
    """Log the admission before it is served, and that its feed was reconciled; return the index.

    Records that declare a later end than the lawful one are an alarm besides.
    """
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
    index = tx.append(entry).index
    if late:
        raise_alarm(
            tx,
            rule="R21",
            code="PUBLICITY_OVERRUN",
            now=act.now,
            node=act.node,
            actor=act.actor,
            product=product.name,
            records=late,
            cause=index,
        )
    return index
