"""The command-line program `xinguan`: every command in its place, every refusal explained."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command, get_group

from gateway.domain.errors import InvalidRequestError, UnavailableError, XinguanError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is, and what the program's own help says about it."""

    module: str
    name: str
    help: str


# Each command is imported when it is called: Arrow, gRPC and the policy engine take a second
# to load, and `xinguan party list` needs none of them.
COMMANDS: Final[Mapping[str, Place]] = {
    "init": Place("init", "init", "Make a deployment: settings, keys, state and an open log."),
    "party": Place("party", "app", "Organisations, their certificates and their document keys."),
    "licence": Place("licence", "app", "Who may ask for which fields, for what, until when."),
    "consent": Place("consent", "app", "Who agreed to what, towards whom, until when."),
    "stop-egress": Place("stop", "stop_egress", "Stop egress at once; without options, list."),
    "whitelist": Place("whitelist", "app", "Which fields may cross to which partner (R68)."),
    "export": Place("export", "app", "Persons counted for export, and the yearly filing."),
    "border": Place("border", "app", "What an export rests on, and the store apart for it."),
    "recognition": Place("recognition", "app", "Mutual recognition: terms, tables, identifiers."),
    "catalogue": Place("catalogue", "app", "What each product holds and who manages it."),
    "policy": Place("policy", "app", "The law as policy: explain, diff, rules, build."),
    "import": Place("data", "import_app", "Map a published file into a product."),
    "synth": Place("data", "synth", "Make a population of synthetic companies and records."),
    "load": Place("data", "load", "Admit a file or a source as the snapshot of a product."),
    "source": Place("source", "app", "Where products are read from: list, check."),
    "features": Place("features", "app", "Features of portfolios: build, refresh, show."),
    "repair": Place("repair", "app", "Decisions that change what is shared: sign, publish, list."),
    "feed": Place("feed", "app", "Feeds that decisions and publicity come in by."),
    "reconcile": Place("reconcile", "reconcile", "Compare with a publicity authority (R11)."),
    "serve": Place("serve", "serve", "Open the gate: gRPC and Arrow Flight on one port."),
    "credential": Place("credential", "app", "Credentials that partners check offline."),
    "inbound": Place("inbound", "app", "Credit documents from abroad: check, admit, refresh."),
    "recall": Place("recall", "app", "Who must stop using what it received before a repair."),
    "trace": Place("trace", "trace", "From a leaked copy to the delivery it came from (R23)."),
    "audit": Place("audit", "app", "Verify, prove and read the audit log."),
    "demo": Place("demo", "demo", "Walk through the whole road on this machine."),
}

# A path that can never work as it was named; anything else may work later.
_WRONG_PATH: Final = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    }
)


class Commands(TyperGroup):
    """The commands of the table above, each found when it is asked for."""

    _listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the program's help from the table, without importing any command."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: object,  # noqa: ARG002 - the library's signature
        cmd_name: str,
    ) -> TyperCommand | TyperGroup | None:
        """Return a command, imported now, or None for an unknown name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        return TyperCommand(cmd_name, help=place.help) if self._listing else _load(cmd_name, place)


def _load(name: str, place: Place) -> TyperCommand | TyperGroup:
    found = getattr(import_module(f"gateway.cli.{place.module}"), place.name)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name)(found)
    command = get_command(single)
    if not isinstance(command, TyperCommand):
        raise TypeError(name)
    return command


app = typer.Typer(
    name="xinguan",
    cls=Commands,
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
        _check_text(given)
        try:
            _run(given)
        finally:
            sys.stdout.flush()  # a full disk is told here, or nobody would be told
    except XinguanError as error:
        _refuse(error, given)
    except OSError as error:
        _give_up_output()
        if error.errno == errno.EPIPE:  # whoever read the output has had enough
            sys.exit(1)
        _refuse(_unusable(error), given)


def _run(given: Sequence[str]) -> None:
    """Run the command; what is wrong with the words themselves is told to machines as JSON too."""
    if "--json" not in given:
        app(args=given, prog_name="xinguan")
        return
    try:
        code: object = app(args=given, prog_name="xinguan", standalone_mode=False)
    except TyperException as error:
        wrong: Any = error  # the library's own kinds of it, which have no public names
        raise InvalidRequestError(
            "BAD_USAGE", wrong.format_message(), hints=("--help tells how it is called",)
        ) from None
    except typer.Abort:
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: XinguanError, given: Sequence[str]) -> NoReturn:
    from gateway.cli.console import report

    sys.exit(report(error, "--json" in given))


def _check_text(given: Sequence[str]) -> None:
    """Refuse arguments that aren't UTF-8, which no identifier, name or reason is.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    for position, argument in enumerate(given, 1):
        # Python holds a byte that isn't UTF-8 as a lone surrogate.
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            raise InvalidRequestError("BAD_REQUEST", f"argument {position} is not UTF-8")


def _unusable(error: OSError) -> XinguanError:
    """Return the refusal for a file or folder that a command could not use; its bare name only."""
    name = PurePath(os.fsdecode(error.filename)).name if _names_a_file(error) else "a file"
    message = f"{name}: {error.strerror or 'it can not be used'}"
    if error.errno in _WRONG_PATH:
        return InvalidRequestError("FILE_FAILED", message, hints=("name another path",))
    hints = ("mind the free space and who may write there, then try again",)
    return UnavailableError("FILE_FAILED", message, hints=hints)


def _names_a_file(error: OSError) -> bool:
    return isinstance(error.filename, str | bytes | os.PathLike)


def _give_up_output() -> None:
    """Drop what is still buffered, or the interpreter would fail over it once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
