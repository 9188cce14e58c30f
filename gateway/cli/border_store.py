"""`xinguan border copy`, `status`, `store`: what requests from abroad are answered from (M58)."""

import time
from typing import Annotated, Any

import typer

from gateway.border.store_apart import readable
from gateway.border.store_apart_job import Copier
from gateway.border.store_apart_key import key_name
from gateway.cli.console import HERE, AsJson, Home, Reason, Session, because, instant, session, show
from gateway.domain.errors import InvalidRequestError, UnavailableError, XinguanError
from gateway.identity.keyfiles import read_secret
from gateway.registry.catalogue import Catalogue
from gateway.registry.registry import Registry
from gateway.serving.border import copier_of, open_store

_PATIENCE_S, _TICK_S = 30.0, 0.1


def copy(
    product: Annotated[str, typer.Option("--product", help="One product; by default all.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Copy what may cross now; a running gateway serves it at once, and does so by itself.

    Opens the store again after it was destroyed, under a new key.
    """
    products = Catalogue.load().products
    if product and product not in products:
        raise InvalidRequestError(
            "UNKNOWN_PRODUCT",
            "no such product is in the catalogue",
            hints=("xinguan catalogue list",),
        )
    with session(home) as opened:
        registry = Registry(opened.state)
        try:
            copier = _copier(opened, registry)
            done = _patiently(lambda: copier.round(opened.act, product, anew=True))
        finally:
            registry.close()
    told = [
        {
            "product": each.product,
            "what": each.what,
            "copy": each.copy,
            "fields": list(each.fields),
            "entry": each.entry,
        }
        for each in done
    ]
    show(told, as_json, title="Copies for use abroad")


def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show which copies serve abroad, and when they last agreed with the domestic records."""
    with session(home) as opened:
        store = open_store(opened.deployment, opened.state)
        limit = opened.deployment.settings.limits.border_copy_age_s
        rows: list[dict[str, Any]] = []
        for name in store.library.products():
            found = readable(store, name)
            checked = None if found is None else store.checked_at(found)
            fresh = checked is not None and opened.act.now - checked <= limit
            rows.append(
                {
                    "product": name,
                    "serves": found is not None and fresh,
                    "copy": "" if found is None else found.snapshot_id,
                    "of": "" if found is None else found.copied.source,
                    "fields": [] if found is None else list(found.copied.fields),
                    "checked": instant(checked),
                    "key": _key_name(opened),
                }
            )
    show(rows, as_json, title="Store apart")


def destroy(
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Destroy the store's key and every copy: nothing crosses until `xinguan border copy`."""
    # Asked on standard error: what is on standard output is the answer, JSON perhaps.
    question = "Destroy the key of the store apart and every copy?"
    if not yes and not typer.confirm(question, err=True):
        raise InvalidRequestError("BAD_REQUEST", "nothing was destroyed")
    with session(home) as opened:
        act = because(opened.act, reason)
        registry = Registry(opened.state)
        try:
            copier = _copier(opened, registry)
            key, copies = _patiently(lambda: copier.destroy(act))
        finally:
            registry.close()
    show({"key": key, "copies": copies}, as_json, title="Store apart destroyed")


def add_store_commands(app: typer.Typer) -> None:
    """Add the commands of the store apart to those of the border."""
    store = typer.Typer(help="The store apart as a whole.")
    store.command()(destroy)
    app.add_typer(store, name="store")
    app.command()(copy)
    app.command()(status)


def _copier(opened: Session, registry: Registry) -> Copier:
    return copier_of(
        opened.deployment,
        opened.state,
        open_store(opened.deployment, opened.state),
        Catalogue.load().products,
        registry.view,
    )


def _patiently(work: Any) -> Any:
    """Do it once no other process is copying; a serving gateway does so now and then."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return work()
        except UnavailableError as error:
            if error.code != "BORDER_COPY_BUSY" or time.monotonic() > end:
                raise
        time.sleep(_TICK_S)


def _key_name(opened: Session) -> str:
    try:
        return key_name(read_secret(opened.deployment.border_key_path))
    except XinguanError:
        return ""
