"""`xinguan import`, `synth` and `load`: from a file or a source to a product that is served."""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from adapters.source import Source
from gateway.cli.console import HERE, AsJson, Home, now, read_bytes, session, show
from gateway.domain.errors import InvalidRequestError
from gateway.ingest.enterprises import ImportFileError, import_enterprises
from gateway.ingest.loading import load_product
from gateway.ingest.returns import write_returns
from gateway.ingest.sources import open_source, source_for
from gateway.ingest.synth import PRODUCTS, SynthError, synthesise
from gateway.registry.catalogue import Catalogue, UnknownProductError
from gateway.snapshot.library import SnapshotLibrary

import_app = typer.Typer(help="Map a published file into a product, nothing dropped silently.")
Out = Annotated[Path, typer.Option("--out", help="Folder for what is made.")]


@import_app.command("enterprises")
def enterprises(
    file: Annotated[Path, typer.Argument(help="The published CSV.")],
    out: Out = Path("imported"),
    as_json: AsJson = False,
) -> None:
    """Map a published register of enterprises into legal_entity_base.

    Every row is in the Parquet file or, with its number and reason, in the quarantine file.
    """
    try:
        report = import_enterprises(file, out, now=now())
    except ImportFileError as error:
        raise InvalidRequestError(error.code, str(error)) from None
    told = {
        "records": str(report.path),
        "quarantine": str(report.quarantine),
        "rows": report.rows,
        "imported": report.imported,
        "quarantined": report.quarantined,
        "reasons": ", ".join(f"{code}: {n}" for code, n in sorted(report.reasons.items())),
        "encoding": report.encoding,
    }
    show(told, as_json, title="Imported")


def synth(
    out: Out = Path("synthetic"),
    companies: Annotated[int, typer.Option(min=10, help="Number of companies.")] = 200,
    rows: Annotated[int, typer.Option(min=0, help="Rows per product; 0 as it comes.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    product: Annotated[list[str] | None, typer.Option(help="Only these products.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a synthetic population of companies, with records of every schema."""
    try:
        report = synthesise(
            out,
            companies=companies,
            seed=seed,
            products=product or PRODUCTS,
            rows_per_product=rows or None,
            as_of=now(),
        )
    except SynthError as error:
        raise InvalidRequestError("BAD_REQUEST", str(error)) from None
    made = [
        {"product": name, "rows": file.rows, "bytes": file.size, "file": str(file.path)}
        for name, file in report.files.items()
    ]
    show(made, as_json, title=f"{report.companies} synthetic companies")


def load(
    product: Annotated[str, typer.Argument(help="Name of the product.")],
    file: Annotated[
        str, typer.Argument(help="Parquet, CSV or IPC; path or s3://bucket/key. Else a source.")
    ] = "",
    source: Annotated[
        str, typer.Option("--source", help="A source of the settings, in place of a file.")
    ] = "",
    import_summary: Annotated[
        Path | None, typer.Option("--import-summary", help="The .import.json beside an import.")
    ] = None,
    returns: Annotated[
        Path | None, typer.Option(help="Where to list records that go back to their source.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Admit records as what is served of a product; a running gateway serves them at once.

    Without a file they are read from the source that the settings name for the product.
    """
    if file and source:
        raise InvalidRequestError("BAD_REQUEST", "name a file or a source, not both")
    try:
        contract = Catalogue.load().product(product)
    except UnknownProductError:
        raise InvalidRequestError(
            "UNKNOWN_PRODUCT",
            "no such product is in the catalogue",
            hints=("xinguan catalogue list",),
        ) from None
    held_back = _held_back(import_summary) if import_summary else 0
    if file and "://" not in file and not Path(file).exists():
        raise InvalidRequestError("SOURCE_FAILED", f"{product}: the file is not there")
    with session(home) as opened, ExitStack() as stack:
        library = SnapshotLibrary(opened.deployment.snapshots_directory)
        origin: str | Source = file
        if not file:
            name = source_for(opened.deployment, product, source)
            origin = stack.enter_context(closing(open_source(opened.deployment, name, contract)))
        loaded = load_product(
            opened.state, library, contract, origin, opened.act, quarantined=held_back
        )
        late = loaded.returns.num_rows
        if late:
            folder = opened.deployment.directory / "returns"
            returns = returns or folder / f"{product}-{loaded.index}.csv"
            write_returns(loaded.returns, returns)
    manifest = loaded.snapshot.manifest
    told = {
        "product": product,
        "snapshot": loaded.snapshot.snapshot_id,
        "rows": manifest.rows,
        "quarantined": manifest.quarantined,
        "reasons": ", ".join(f"{code}: {n}" for code, n in sorted(loaded.screened.codes.items())),
        "quarantine": str(loaded.quarantine or ""),
        "returned_to_source": late,
        "returns": str(returns) if late else "",
        "entry": loaded.index,
    }
    show(told, as_json, title="Loaded")


def _held_back(summary: Path) -> int:
    """Return how many rows an import quarantined, as its summary tells.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when the file is no summary of an import.
    """
    try:
        count = json.loads(read_bytes(summary))["quarantined"]
    except (ValueError, KeyError, TypeError):
        count = None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise InvalidRequestError("BAD_REQUEST", "the file is no summary of an import")
    return count
