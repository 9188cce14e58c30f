"""The store apart of a deployment, put together: the reading side, and who keeps it."""

from collections.abc import Callable, Mapping

from gateway.border.store_apart import StoreApart
from gateway.border.store_apart_job import Copier
from gateway.border.store_apart_keeper import BorderKeeper
from gateway.deployment import Deployment
from gateway.domain.product import Product
from gateway.registry.registry import View
from gateway.repair.consequences import derived_products
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State


def open_store(deployment: Deployment, state: State) -> StoreApart:
    """Return the store apart of a deployment; its copies are sealed and labelled on opening."""
    return StoreApart(
        deployment.border_directory,
        deployment.border_key_path,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
        age_limit_s=deployment.settings.limits.border_copy_age_s,
    )


def keeper_of(
    deployment: Deployment,
    state: State,
    store: StoreApart,
    products: Mapping[str, Product],
    view: Callable[[], View],
    domestic: SnapshotLibrary,
    clock_s: Callable[[], int],
) -> BorderKeeper:
    """Return what keeps the copies while a gateway serves; see `copier_of`."""
    settings = deployment.settings
    copier = copier_of(deployment, state, store, products, view, domestic)
    return BorderKeeper(copier, settings.node, clock_s, settings.limits.border_check_interval_s)


def copier_of(
    deployment: Deployment,
    state: State,
    store: StoreApart,
    products: Mapping[str, Product],
    view: Callable[[], View],
    domestic: SnapshotLibrary | None = None,
) -> Copier:
    """Return what keeps the copies of a deployment.

    Args:
        deployment: The deployment.
        state: Its open state.
        store: Its store apart.
        products: The catalogue.
        view: The registry as it stands.
        domestic: The domestic snapshots of a serving gateway; opened anew by default.
    """
    domestic = domestic or SnapshotLibrary(
        deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )
    return Copier(
        state,
        domestic,
        deployment.snapshots_directory,
        store,
        products,
        view,
        derived=derived_products(),
        age_limit_s=deployment.settings.limits.border_copy_age_s,
    )
