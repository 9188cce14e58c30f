"""`xinguan source`: where products are read from, and whether that is as the contract says."""

from contextlib import closing
from typing import Annotated, Any

import typer

from adapters.source import SourceError
from gateway.cli.console import BAD_INPUT, HERE, AsJson, Home, show
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.ingest.sources import open_source, product_of
from gateway.registry.catalogue import Catalogue, UnknownProductError

app = typer.Typer(help="Where products are read from: databases, files, other servers.")


@app.command("list")
def list_sources(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the sources of the settings; nothing is connected to, no credential is shown."""
    told = [
        {
            "source": name,
            "product": product_of(name, entry),
            "kind": entry.kind.value,
            "location": entry.location,
            "table": entry.table,
            "credential": entry.credential_file or entry.credential_env,
        }
        for name, entry in Deployment.open(home).settings.sources.items()
    ]
    show(told, as_json, title="Sources")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Name of a source of the settings.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Connect to a source and compare its schema with the product's contract.

    Exits with 0 when they agree, 1 when it can't be read now, 2 when they differ.
    """
    deployment = Deployment.open(home)
    settings = deployment.settings.sources.get(name)
    if settings is None:
        raise NotFoundError(
            "NOT_FOUND", "the settings name no such source", hints=("xinguan source list",)
        )
    product = product_of(name, settings)
    try:
        contract = Catalogue.load().product(product)
    except UnknownProductError:
        raise InvalidRequestError(
            "UNKNOWN_PRODUCT",
            "the source's product is not in the catalogue",
            hints=("xinguan catalogue list",),
        ) from None
    differences: list[dict[str, Any]] = []
    with closing(open_source(deployment, name, contract)) as source:
        try:
            source.schema()
        except SourceError as error:
            differences = _told(error)
    told = {"source": name, "product": product, "kind": settings.kind.value}
    if as_json:
        show({**told, "agrees": not differences, "differences": differences}, True, title="")
    else:
        show({**told, "agrees": not differences}, False, title="Source")
        if differences:
            show(differences, False, title="Differences")
    if differences:
        raise typer.Exit(BAD_INPUT)


def _told(error: SourceError) -> list[dict[str, Any]]:
    """Return the differences as rows.

    Raises:
        UnavailableError: `SOURCE_FAILED` when the source can't be read now.
        InvalidRequestError: `SOURCE_FAILED` when it can't be read ever.
    """
    if error.code == "SCHEMA_DRIFT":
        return [
            {"column": found.column, "source": found.found, "contract": found.expected}
            for found in error.differences
        ] or [{"column": "", "source": str(error), "contract": ""}]
    kind = UnavailableError if error.code == "SOURCE_FAILED" else InvalidRequestError
    raise kind("SOURCE_FAILED", str(error)) from None
