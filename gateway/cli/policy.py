"""`xinguan policy`: what the law decides, why, and how that is proven."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.policy_approve import approve_command
from gateway.cli.policy_diff import diff_command
from gateway.decision import explain as explaining
from gateway.decision.bundle import DEFAULT_POLICIES, BuildError, Bundle, build, load
from gateway.decision.coverage import rule_rows
from gateway.decision.decider import Decider
from gateway.decision.law import LawTable
from gateway.decision.pages import rules_page
from gateway.decision.signing import sign
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import InvalidRequestError, UnavailableError

app = typer.Typer(help="The law as policy: explain, diff, rules, coverage, build, check, sign.")
app.command("approve")(approve_command)
app.command("diff")(diff_command)

Policies = Annotated[Path, typer.Option(help="The policies directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print for machines.")]
Language = Annotated[str, typer.Option("--lang", help="zh or en.")]


@app.command("explain")
def explain_command(
    request: Annotated[Path, typer.Argument(help="A policy input, as JSON.")],
    at: Annotated[int | None, typer.Option(help="Unix seconds, when it has no `now`.")] = None,
    policies: Policies = DEFAULT_POLICIES,
    language: Language = "zh",
    as_json: Json = False,
) -> None:
    """Decide a request document and print each rule that fired, its clause and the remedy."""
    _require(language)
    try:
        text = request.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidRequestError("BAD_REQUEST", "the request document can't be read") from None
    document, now = explaining.read_request(text, at)
    with _usable_policies():
        explanation = asyncio.run(_explain(document, now, policies))
    if as_json:
        _print_json(explaining.as_document(explanation))
    else:
        typer.echo(explaining.as_text(explanation, language))


async def _explain(document: bytes, now: int, policies: Path) -> explaining.Explanation:
    bundle = load(policies)
    decider = Decider(WasmEngine(bundle), bundle, LawTable.load(policies))
    try:
        return await explaining.explain(document, now, decider, policies)
    finally:
        await decider.close()


@app.command("rules")
def rules_command(
    policies: Policies = DEFAULT_POLICIES,
    language: Language = "zh",
    markdown: Annotated[bool, typer.Option(help="Print the page of docs/rules.")] = False,
    as_json: Json = False,
) -> None:
    """Print every rule with its kind, source and place."""
    _require(language)
    with _usable_policies():
        rows = rule_rows(policies, checkout=policies.parent)
    if as_json:
        _print_json([asdict(row) for row in rows])
    elif markdown:
        typer.echo(rules_page(rows, language), nl=False)
    else:
        for row in rows:
            title = row.title_zh if language == "zh" else row.title_en
            mark = " ⚠" if row.unconfirmed else ""
            typer.echo(f"{row.rule} {row.kind:<8} {title} [{row.source}]{mark}")


@app.command("coverage")
def coverage_command(policies: Policies = DEFAULT_POLICIES, as_json: Json = False) -> None:
    """Print which tests prove each rule's effect and absence; exit 1 when one is unproven.

    A rule of a room that isn't built yet waits for the issue it names.
    """
    with _usable_policies():
        rows = rule_rows(policies, checkout=policies.parent)
    if as_json:
        _print_json([asdict(row) | {"proven": row.proven} for row in rows])
    else:
        for row in rows:
            rego = ", ".join(f"{rule.package}/{rule.code}" for rule in row.rego)
            places = rego or ", ".join(row.modules) or row.where
            typer.echo(
                f"{row.rule} {row.kind:<8} +{len(row.effect)} -{len(row.absence)} "
                f"{' '.join(row.measures)}  {places}"
                f"{f'  (waits for #{row.issue})' if row.waits else ''}"
            )
    if not all(row.proven or row.waits for row in rows):
        raise typer.Exit(1)


@app.command("build")
def build_command(
    opa: Annotated[Path, typer.Option(help="The OPA binary.")] = Path(".tools/bin/opa"),
    policies: Policies = DEFAULT_POLICIES,
    as_json: Json = False,
) -> None:
    """Compile the policy and write the bundle beside its sources."""
    with _usable_policies():
        bundle = build(policies, opa)
    _print_bundle(bundle, as_json=as_json)


@app.command("check")
def check_command(policies: Policies = DEFAULT_POLICIES, as_json: Json = False) -> None:
    """Compare the bundle with its sources; exit 1 when it is stale."""
    _print_bundle(load(policies), as_json=as_json)


@app.command("sign")
def sign_command(
    key: Annotated[Path, typer.Option(help="PEM file of the authority's ECDSA P-256 key.")],
    output: Annotated[Path, typer.Option(help="Where the signed bundle is written.")],
    opa: Annotated[Path, typer.Option(help="The OPA binary.")] = Path(".tools/bin/opa"),
    policies: Policies = DEFAULT_POLICIES,
    as_json: Json = False,
) -> None:
    """Sign the bundle for an OPA server that is started with --verification-key."""
    try:
        signed = sign(policies, opa, key, output)
    except BuildError as error:
        raise UnavailableError("POLICY_MISMATCH", str(error)) from None
    if as_json:
        _print_json({"bundle": str(signed)})
    else:
        typer.echo(str(signed))


@contextmanager
def _usable_policies() -> Iterator[None]:
    """Tell whatever is wrong with a policies directory as a refusal.

    Raises:
        UnavailableError: `POLICY_MISMATCH`.
    """
    try:
        yield
    except BuildError as error:
        raise UnavailableError("POLICY_MISMATCH", str(error)) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UnavailableError(
            "POLICY_MISMATCH", "the policies directory is out of reach, incomplete or malformed"
        ) from None


def _require(language: str) -> None:
    """Refuse a language that nothing is written in, rather than show another one.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    if language not in explaining.LANGUAGES:
        raise InvalidRequestError("BAD_REQUEST", "the language is zh or en")


def _print_bundle(bundle: Bundle, *, as_json: bool) -> None:
    document = {"revision": bundle.revision, "digest": bundle.digest}
    if as_json:
        _print_json(document)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in document.items()))


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
