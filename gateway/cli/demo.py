"""`xinguan demo`: the main job from end to end, narrated."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.console import AsJson
from gateway.demo.play import Played, home_directory, play
from gateway.domain.errors import InvalidRequestError
from gateway.ingest.enterprises import ImportFileError


def demo(
    data: Annotated[
        Path | None, typer.Option(help="A published register of enterprises to serve.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Keep the deployment here, to look around afterwards.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play the main job through once: agency, bank, partner, repair, auditor."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40),
        logger_factory=structlog.PrintLoggerFactory(file=sys.__stderr__),
    )
    told: list[Played] = []
    console = Console()

    def tell(played: Played) -> None:
        told.append(played)
        if not as_json:
            _narrate(console, len(told), played)

    try:
        with home_directory(home) as root:
            passed = asyncio.run(play(root, data, tell))
    except ImportFileError as error:
        raise InvalidRequestError(error.code, str(error)) from None
    if as_json:
        print(json.dumps({"ok": passed, "steps": [step.as_json() for step in told]}, indent=2))
    elif passed:
        console.print("\n[bold green]Every step came out as expected.[/]")
        if home is not None:
            console.print(f"The deployment is kept in {home}; look around with --home {home}.")
    raise typer.Exit(0 if passed else 1)


def _narrate(console: Console, number: int, played: Played) -> None:
    mark = "[bold green]✔[/]" if played.ok else "[bold red]✘[/]"
    console.print(f"\n{mark} [bold]{number}. {played.told.title}[/] [dim]{played.seconds:.2f} s[/]")
    for line in played.told.lines:
        console.print(f"   {line}", highlight=False, markup=False)
    if not played.told.rows:
        return
    table = Table(show_edge=False, pad_edge=False)
    for name in played.told.rows[0]:
        table.add_column(name, overflow="fold")
    for row in played.told.rows:
        table.add_row(*row.values())
    console.print(table)
