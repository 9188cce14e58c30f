"""The command-line program `xinguan`: every command in its place, every refusal explained."""

import sys
from collections.abc import Sequence

import typer

from gateway.cli import audit, catalogue, consent, data, licence, party, whitelist
from gateway.cli.console import report
from gateway.cli.init import init
from gateway.cli.serve import serve
from gateway.cli.stop import stop_egress
from gateway.domain.errors import XinguanError

app = typer.Typer(
    name="xinguan",
    help="Xinguan (信关): the gate through which credit data leaves, decided, limited, provable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init)
app.add_typer(party.app, name="party")
app.add_typer(licence.app, name="licence")
app.add_typer(consent.app, name="consent")
app.command("stop-egress")(stop_egress)
app.add_typer(whitelist.app, name="whitelist")
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(data.import_app, name="import")
app.command("synth")(data.synth)
app.command("load")(data.load)
app.command("serve")(serve)
app.add_typer(audit.app, name="audit")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it couldn't be done now, 2 bad input.

    Args:
        arguments: The command line without the program's name; the process's own by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given, prog_name="xinguan")
    except XinguanError as error:
        sys.exit(report(error, "--json" in given))
