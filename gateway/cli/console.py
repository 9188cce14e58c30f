"""What all commands share: where the deployment is, how results and refusals are printed."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.deployment import Deployment
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.registry.act import Act, stated_reason
from gateway.registry.registry import Registry, View
from gateway.store.state import State

T = TypeVar("T")
BAD_INPUT = 2
FAILED = 1
_NARROWEST = 10  # characters of a column, below which nobody reads a table
_OUR_FAULT = frozenset({"INTERNAL", "UNAVAILABLE"})

Home = Annotated[
    Path,
    typer.Option("--home", envvar="XINGUAN_HOME", help="The deployment that `init` made."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the log for ever.")]
HERE = Path()

JsonObject = Mapping[str, Any]  # Any: values of a JSON object


def now() -> int:
    """Return the present time in unix seconds: the one clock of the command line."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Session:
    """An open deployment for the length of one command.

    Args:
        deployment: The deployment.
        state: Its open state.
        act: The circumstances of whatever this command does.
    """

    deployment: Deployment
    state: State
    act: Act

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Run a job in one transaction; it is durable when this returns.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE` when it can't be logged; nothing happened.
        """
        try:
            return self.state.run(job)
        except AuditUnavailableError as error:
            raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None

    def view(self) -> View:
        """Return the registry as it stands."""
        registry = Registry(self.state)
        try:
            return registry.view()
        finally:
            registry.close()


def because(act: Act, reason: str) -> Act:
    """Return an act with its reason.

    Raises:
        InvalidRequestError: as `stated_reason`.
    """
    return replace(act, reason=stated_reason(reason))


@contextmanager
def session(home: Path) -> Iterator[Session]:
    """Open the deployment and its state, and close them again.

    Raises:
        ConfigError: There is no usable deployment.
        UnavailableError: `AUDIT_UNAVAILABLE` when the state can't be opened.
    """
    deployment = Deployment.open(home)
    try:
        state = deployment.open_state()
    except AuditUnavailableError as error:
        raise UnavailableError("AUDIT_UNAVAILABLE", str(error)) from None
    try:
        yield Session(deployment, state, Act(now(), deployment.settings.node))
    finally:
        state.close()


def show(value: JsonObject | Sequence[JsonObject], as_json: bool, *, title: str) -> None:
    """Print one object as lines, or several as a table, or either as JSON.

    A table that the terminal is too narrow for becomes lines too, object by object.
    """
    if as_json:
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
        # Half of a surrogate pair, from a stranger's document, has no UTF-8; JSON escapes it.
        print(text if _encodable(text) else json.dumps(value, indent=2, sort_keys=True))
        return
    console = Console()
    if isinstance(value, Mapping):
        console.print(_below(value, title))
        return
    if not value:
        console.print(f"{title}: none")
        return
    if len(value[0]) * _NARROWEST > console.width:
        for row in value:
            console.print(_below(row, title))
        return
    table = Table(title=title, title_justify="left")
    for name in value[0]:
        table.add_column(name, overflow="fold")
    for row in value:
        table.add_row(*(Text(_text(entry)) for entry in row.values()))
    console.print(table)


def _below(value: JsonObject, title: str) -> Table:
    """Return an object with its members one below another."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, entry in value.items():
        table.add_row(name, Text(_text(entry)))  # a value is never markup, whoever wrote it
    return table


def instant(seconds: int | None) -> str:
    """Return a time as people in Hainan read it, or an empty text."""
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S +08:00", time.gmtime(seconds + 8 * 3_600))


def read_text(path: Path) -> str:
    """Return a text file that the user named.

    Raises:
        typer.BadParameter: It can't be read.
    """
    return read_bytes(path).decode("utf-8", errors="replace")


def read_bytes(path: Path) -> bytes:
    """Return a file that the user named.

    Raises:
        typer.BadParameter: It can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path.name}: {error.strerror}") from None


def report(error: XinguanError, as_json: bool) -> int:
    """Print a refusal to standard error and return the exit code."""
    code = FAILED if error.grpc_code in _OUR_FAULT else BAD_INPUT
    if as_json:
        told = {
            "reason": error.code,
            "message": error.message,
            "hints": list(_remedies(error)),
            "reasons": [
                {"rule": reason.rule, "code": reason.code, "fields": list(reason.fields)}
                for reason in error.reasons
            ],
        }
        print(json.dumps(told, ensure_ascii=False, sort_keys=True), file=sys.stderr)
        return code
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]{error.code}[/]", end=": ")
    console.print(error.message, markup=False)
    for remedy in _remedies(error):
        console.print("  remedy:", remedy, markup=False)
    return code


def _remedies(error: XinguanError) -> Sequence[str]:
    """Return what would make it work: the error's own words, else those of the law tables."""
    if error.hints:
        return error.hints
    from gateway.decision.law import LawTable

    try:
        text = LawTable.load().text(error.reasons[0])
    except (OSError, ValueError):
        return ()  # a broken policy folder must not hide the refusal itself
    # A code without a text of its own would be told as a defect of ours; it isn't one.
    return (f"{text.remedy_en} ({text.clause_en})",) if text.code == error.code else ()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_printable(str(entry)) for entry in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(entry)}" for name, entry in value.items())
    return "" if value is None else _printable(str(value))


def _printable(text: str) -> str:
    """Return a text that can't act on the terminal: what isn't printable stands as a box."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
