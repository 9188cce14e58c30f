"""`xinguan features`: build the features of a portfolio, and build them anew after repairs."""

import datetime as dt
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import HERE, AsJson, Home, Session, now, session, show
from gateway.domain.errors import InvalidRequestError
from gateway.portfolio.build import Built, Workshop, today_of
from gateway.portfolio.definitions import load_definitions
from gateway.portfolio.subjects import read_portfolio
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.calendar_columns import ordinal
from gateway.snapshot.library import SnapshotLibrary

app = typer.Typer(help="Features of portfolios, as they were known on a day.")
_TICK_S = 0.05
_PATIENCE_S = 2  # a repair from a clock that is ahead of ours is not waited for


@app.command()
def build(
    portfolio: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet with uscc and perhaps observed_on; by default all."),
    ] = None,
    as_of: Annotated[
        str, typer.Option(help="Observation date, YYYY-MM-DD, without --portfolio; default today.")
    ] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Compute features and serve them; a running gateway serves them at once."""
    if portfolio is not None and as_of:
        raise InvalidRequestError("BAD_REQUEST", "a portfolio file has its own observation dates")
    with session(home) as opened:
        act = opened.act
        workshop = _workshop(opened)
        today = today_of(act.now)
        if portfolio is not None:
            wanted = read_portfolio(portfolio, today)
        else:
            wanted = workshop.everybody(_day(as_of, today), act.now)
        _show(workshop.build(wanted, act), as_json, "Features built")


@app.command()
def refresh(
    if_stale: Annotated[
        bool, typer.Option("--if-stale", help="Only when a record changed since the build.")
    ] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Compute anew what is served, for the same subjects and dates, without what ended since."""
    with session(home) as opened:
        workshop = _workshop(opened)
        if if_stale and not workshop.stale():
            show({"refreshed": False, "stale_subjects": 0}, as_json, title="Features")
            return
        act = _after_repairs(opened, workshop)
        # Opened anew, so that nothing was read before the moment that the rows are stamped with.
        workshop = _workshop(opened)
        _show(workshop.build(workshop.present(), act), as_json, "Features refreshed")


@app.command("list")
def list_features(as_json: AsJson = False) -> None:
    """List each feature with its definition, as the tables of the policies have it."""
    definitions = load_definitions(Catalogue.load())
    fields = definitions.product.fields
    listed = [
        {
            "feature": feature.name,
            "title_zh": fields[feature.name].title_zh,
            "title_en": fields[feature.name].title_en,
            "unit": fields[feature.name].measure,
            "class": fields[feature.name].classification.value,
            "records": feature.product,
            "definition": feature.text,
        }
        for feature in definitions.features
    ]
    show(listed, as_json, title=f"{definitions.product.title_zh} {definitions.product.title_en}")


def _workshop(opened: Session) -> Workshop:
    """Open the snapshots as a gateway would: sealed and labelled before anything is read."""
    catalogue = Catalogue.load()
    state = opened.state
    library = SnapshotLibrary(
        opened.deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )
    return Workshop(state, library, opened.view(), catalogue, load_definitions(catalogue))


def _after_repairs(opened: Session, workshop: Workshop) -> Act:
    """Wait out the second of the newest repair: a row of that second would be withheld still."""
    act, newest = opened.act, min(workshop.newest_change(), opened.act.now + _PATIENCE_S)
    while act.now <= newest:
        time.sleep(_TICK_S)
        act = Act(now(), act.node)
    return act


def _day(text: str, today: int) -> int:
    if not text:
        return today
    try:
        day = ordinal(dt.date.fromisoformat(text))
    except ValueError:
        day = today + 1
    if not 0 <= day <= today:
        raise InvalidRequestError("BAD_REQUEST", "the date is YYYY-MM-DD and not in the future")
    return day


def _show(built: Built, as_json: bool, title: str) -> None:
    show(built.report(), as_json, title=title)
