"""The command-line program `xinguan`: every command in its place, every refusal explained."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from gateway.domain.errors import XinguanError

# Each command is imported when it is called: Arrow, gRPC and the policy engine take a second
# to load, and `xinguan party list` needs none of them.
_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("gateway.cli.init", "init"),
    "party": ("gateway.cli.party", "app"),
    "licence": ("gateway.cli.licence", "app"),
    "consent": ("gateway.cli.consent", "app"),
    "stop-egress": ("gateway.cli.stop", "stop_egress"),
    "whitelist": ("gateway.cli.whitelist", "app"),
    "catalogue": ("gateway.cli.catalogue", "app"),
    "policy": ("gateway.cli.policy", "app"),
    "import": ("gateway.cli.data", "import_app"),
    "synth": ("gateway.cli.data", "synth"),
    "load": ("gateway.cli.data", "load"),
    "serve": ("gateway.cli.serve", "serve"),
    "audit": ("gateway.cli.audit", "app"),
}


class _Commands(TyperGroup):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it, or None for an unknown name."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        found = getattr(import_module(place[0]), place[1])
        if isinstance(found, typer.Typer):
            command: click.Command = get_group(found)
        else:
            single = typer.Typer(add_completion=False)
            single.command(cmd_name)(found)
            command = get_command(single)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="xinguan",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def program() -> None:
    """Xinguan (信关): the gate through which credit data leaves, decided, limited, provable."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it couldn't be done now, 2 bad input.

    Args:
        arguments: The command line without the program's name; the process's own by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given, prog_name="xinguan")
    except XinguanError as error:
        from gateway.cli.console import report

        sys.exit(report(error, "--json" in given))
