"""Which rule of domain-rules section 9 is decided where, and which tests prove both its sides.

Read from the sources themselves: the rule table (`policies/data/rules.json`), the METADATA of
the Rego rules, and the names of the tests beside them. A test `test_r30_..._silent...` proves
that R30 stays silent, any other `test_r30_...` that it takes effect. Rules that run where records
enter or change are proven by Python tests, marked `@pytest.mark.rule("R05", "effect")` or
`"absence"`; the Python modules that name such a rule are listed too.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.decision.law import UNCONFIRMED_TAGS
from gateway.decision.tables import read_table

KINDS = ("decision", "ingest", "state", "process", "deferred")
ROOMS = ("gateway", "adapters", "audit")
OUTSIDE = "process"  # `where` of a rule that people keep to, outside the program
SIDES = ("effect", "absence")
_ANNOTATION = re.compile(
    r"# METADATA\n# title: (?P<title>.*)\n(?:# (?!custom).*\n)*# custom:\n#   rule: (?P<rule>\w+)\n"
    r"#   code: (?P<code>\w+)\n"
)
_TEST = re.compile(r"^test_(r[0-9][0-9a-z])_\w+", re.MULTILINE)
_RULE_ID = re.compile(r"\bR[0-9][0-9A]\b")


@dataclass(frozen=True, slots=True)
class RegoRule:
    """One annotated Rego rule.

    Args:
        package: Its package, for example `xinguan.callers`.
        code: The reason code it gives.
        title: Its English title.
    """

    package: str
    code: str
    title: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule of section 9 with everything that stands for it.

    Args:
        rule: Rule id.
        kind: decision, ingest, state, process or deferred.
        title_zh: Chinese title.
        title_en: English title.
        measures: Measures of the base document it serves.
        source: Law or measure it rests on.
        tag: Evidence tag of domain-rules section 0.
        where: The Rego package or the room it runs in.
        issue: Issue it waits for or is deepened by; 0 when none.
        note_zh: Remark, Chinese.
        note_en: Remark, English.
        rego: The Rego rules that carry it.
        effect: Names of the tests of its effect.
        absence: Names of the tests of its silence.
        modules: Python modules that name it.
    """

    rule: str
    kind: str
    title_zh: str
    title_en: str
    measures: tuple[str, ...]
    source: str
    tag: str
    where: str
    issue: int
    note_zh: str
    note_en: str
    rego: tuple[RegoRule, ...]
    effect: tuple[str, ...]
    absence: tuple[str, ...]
    modules: tuple[str, ...] = field(default=())

    @property
    def unconfirmed(self) -> bool:
        """True when its source was not verified."""
        return self.tag in UNCONFIRMED_TAGS

    @property
    def proven(self) -> bool:
        """True when it has tests on both sides, and a Rego rule if it decides on requests.

        Deferred rules wait for their issue, and what a process outside the program keeps to
        can't be tested here; the remark says so.
        """
        if self.kind == "deferred" or self.where == OUTSIDE:
            return True
        both = bool(self.effect and self.absence)
        return both and (self.kind != "decision" or bool(self.rego))

    @property
    def waits(self) -> bool:
        """True when it is unproven because the issue that it names isn't resolved yet."""
        return not self.proven and self.kind != "decision" and self.issue > 0


def rule_rows(policies: Path, *, checkout: Path | None = None) -> tuple[RuleRow, ...]:
    """Return every rule of section 9 in order.

    Args:
        policies: The `policies` directory.
        checkout: Root of the source tree, to read the Python tests and list the modules that
            name a rule; None to skip both.

    Raises:
        ValueError: When the rule table is malformed or names an unknown kind.
    """
    rego, tests = _rego_rules(policies), _tests(policies)
    modules = {} if checkout is None else _modules(checkout)
    marked = {} if checkout is None else _marked_tests(checkout / "tests")
    rows = []
    for rule, entry in read_table(policies / "data", "rules").items():
        words = {key: str(entry.get(key, "")) for key in _WORDS}
        if words["kind"] not in KINDS:
            raise ValueError(f"rules.{rule}: unknown kind")
        measures = entry.get("measures")
        names = tests.get(rule, [])
        rows.append(
            RuleRow(
                rule=rule,
                **words,
                measures=tuple(map(str, measures)) if isinstance(measures, list) else (),
                issue=int(str(entry.get("issue", 0))),
                rego=tuple(rego.get(rule, ())),
                effect=tuple(name for name in names if "silent" not in name)
                + marked.get((rule, "effect"), ()),
                absence=tuple(name for name in names if "silent" in name)
                + marked.get((rule, "absence"), ()),
                modules=tuple(modules.get(rule, ())),
            )
        )
    return tuple(rows)


_WORDS = ("kind", "title_zh", "title_en", "source", "tag", "where", "note_zh", "note_en")


def _rego_rules(policies: Path) -> Mapping[str, list[RegoRule]]:
    found: dict[str, list[RegoRule]] = {}
    for path in sorted(policies.glob("xinguan/**/*.rego")):
        if path.name.endswith("_test.rego"):
            continue
        package = ".".join(path.relative_to(policies).parent.parts)
        for match in _ANNOTATION.finditer(path.read_text(encoding="utf-8")):
            entry = RegoRule(package, match["code"], match["title"])
            found.setdefault(match["rule"], []).append(entry)
    return found


def _tests(policies: Path) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(policies.glob("xinguan/**/*_test.rego")):
        for match in _TEST.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(match[1].upper(), []).append(match[0])
    return found


def _marked_tests(tests: Path) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return the Python tests of each rule and side, by their marks.

    Raises:
        ValueError: When a mark is not `rule(id, side)` with constants.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.rule(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for rule, side in map(_mark, filter(_is_mark, node.decorator_list)):
                    found.setdefault((rule, side), []).append(node.name)
    return {key: tuple(dict.fromkeys(names)) for key, names in found.items()}


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rule"


def _mark(decorator: ast.expr) -> tuple[str, str]:
    given = decorator.args if isinstance(decorator, ast.Call) else []
    match [arg.value for arg in given if isinstance(arg, ast.Constant)]:
        case [str(rule), str(side)] if side in SIDES and _RULE_ID.fullmatch(rule):
            return rule, side
    raise ValueError("a mark reads rule(id, side): `effect` or `absence`")


def _modules(checkout: Path) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*.py")):
            name = path.relative_to(checkout).as_posix()
            for rule in set(_RULE_ID.findall(path.read_text(encoding="utf-8"))):
                found.setdefault(rule, []).append(name)
    return found
