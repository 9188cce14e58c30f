"""Sources of the settings, opened: their credentials are read here and nowhere else."""

import os
from pathlib import Path

from adapters.source import GuardedSource, SourceError
from gateway.deployment import Deployment
from gateway.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    XinguanError,
)
from gateway.domain.product import Product
from gateway.identity.keyfiles import read_private
from gateway.registry.arrow_schema import arrow_schema
from gateway.source_settings import SourceKind, SourceSettings


def product_of(name: str, settings: SourceSettings) -> str:
    """Return the product that a source is for."""
    return settings.product or name


def source_for(deployment: Deployment, product: str, wanted: str = "") -> str:
    """Return the name of the source that a product is read from.

    Args:
        deployment: Whose settings.
        product: Product name.
        wanted: The source that was asked for; empty for the only one.

    Raises:
        NotFoundError: `NOT_FOUND` when the settings name no such source.
        InvalidRequestError: `BAD_REQUEST` when it is another product's, or there are several.
    """
    sources = deployment.settings.sources
    if wanted:
        if wanted not in sources:
            raise NotFoundError(
                "NOT_FOUND", "the settings name no such source", hints=("xinguan source list",)
            )
        if product_of(wanted, sources[wanted]) != product:
            raise InvalidRequestError("BAD_REQUEST", "the source is another product's")
        return wanted
    found = [name for name, entry in sources.items() if product_of(name, entry) == product]
    if not found:
        raise NotFoundError(
            "NOT_FOUND",
            "the settings name no source of this product; name a file, or a source",
            hints=(f"[sources.{product}] in xinguan.toml",),
        )
    if len(found) > 1 and product not in found:
        raise InvalidRequestError("BAD_REQUEST", "it has several sources; choose with --source")
    return product if product in found else found[0]


def open_source(deployment: Deployment, name: str, product: Product) -> GuardedSource:
    """Return a source of the settings; the caller closes it.

    Args:
        deployment: Whose settings, files and environment.
        name: Name of the source.
        product: The contract that its records must meet.

    Raises:
        NotFoundError: `NOT_FOUND` when the settings name no such source.
        InvalidRequestError: `SOURCE_FAILED` for an unusable location.
        UnavailableError: `SOURCE_FAILED` when its credential isn't there or isn't private.
    """
    settings = deployment.settings.sources.get(name)
    if settings is None:
        raise NotFoundError(
            "NOT_FOUND", "the settings name no such source", hints=("xinguan source list",)
        )
    try:
        return _opened(deployment.directory, settings, product)
    except SourceError as error:
        raise InvalidRequestError("SOURCE_FAILED", f"{product.name}: {error}") from None


def _opened(home: Path, settings: SourceSettings, product: Product) -> GuardedSource:
    # Each driver takes its time to load, which only its users should pay.
    schema = arrow_schema(product)
    match settings.kind:
        case SourceKind.FILES:
            from adapters.files import FileSource

            remote = "://" in settings.location
            place = settings.location if remote else str(home / settings.location)
            return FileSource(place, expected=schema)
        case SourceKind.POSTGRESQL:
            from adapters.postgres import PostgresSource

            dsn = _credential(home, settings)
            return PostgresSource(
                dsn, settings.table, expected=schema, deadline_s=settings.deadline_s
            )
        case SourceKind.DUCKDB:
            from adapters.duckdb import DuckDbSource

            return DuckDbSource(
                str(home / settings.location),
                settings.table,
                expected=schema,
                memory_mib=settings.memory_mib,
            )
        case SourceKind.FLIGHT_SQL:
            from adapters.flight_sql import FlightAccess, FlightSqlSource

            access = FlightAccess(
                authorization=_credential(home, settings),
                ca=_text(home, settings.ca_file),
                certificate=_text(home, settings.certificate_file),
                key=_secret(home, settings.key_file),
            )
            return FlightSqlSource(
                settings.location,
                settings.table,
                expected=schema,
                access=access,
                deadline_s=settings.deadline_s,
            )


def _credential(home: Path, settings: SourceSettings) -> str:
    """Return what is to be shown to the source; empty where the settings name nothing."""
    if settings.credential_file:
        return _secret(home, settings.credential_file)
    if not settings.credential_env:
        return ""
    found = os.environ.get(settings.credential_env, "").strip()
    if not found:
        raise UnavailableError(
            "SOURCE_FAILED", f"the environment has no {settings.credential_env}, the credential"
        )
    return found


def _secret(home: Path, name: str) -> str:
    if not name:
        return ""
    try:
        found = read_private(home / name).decode().strip()
    except (XinguanError, UnicodeDecodeError):
        found = ""
    if not found:
        raise UnavailableError(
            "SOURCE_FAILED", "the source's credential is missing, or its file isn't private (0600)"
        )
    return found


def _text(home: Path, name: str) -> str:
    try:
        return (home / name).read_text(encoding="ascii") if name else ""
    except (OSError, UnicodeDecodeError):
        raise UnavailableError("SOURCE_FAILED", "a certificate of the source is missing") from None
