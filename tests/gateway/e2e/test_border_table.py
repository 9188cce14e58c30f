"""No vector of domain-rules 5.3 is without its case over mutual TLS."""

import re
from fnmatch import fnmatchcase

import pytest

from gateway.border.counters_law import CountClass, CountLaw
from gateway.decision.tables import read_table
from tests.conftest import ROOT
from tests.gateway.e2e import test_border_turns, test_border_vectors
from tests.gateway.e2e.border_asking import OWN
from tests.gateway.e2e.border_vectors import BOUNDARIES, VECTORS

LOADED = (test_border_turns, test_border_vectors)  # their tests have named themselves


def names() -> list[str]:
    return [*OWN, *(vector.name for vector in VECTORS)]


def test_each_boundary_of_5_3_has_its_vectors():
    assert len(names()) == len(set(names()))
    for boundary, patterns in BOUNDARIES.items():
        for pattern in patterns:
            assert [name for name in names() if fnmatchcase(name, pattern)], (boundary, pattern)


def test_each_threshold_is_asked_with_every_kind_of_mechanism():
    shown = {vector.name for vector in VECTORS}
    for pattern in (p for patterns in BOUNDARIES.values() for p in patterns if "*" in p):
        for kind in ("no mechanism", "SCC", "CERT", "ASSESSMENT"):
            assert pattern.replace("*", kind) in shown


def test_each_threshold_has_its_crowd():
    law = CountLaw.load()
    crowds = {(kind, number) for kind, number, _, _ in test_border_vectors.CROWDS}
    assert crowds == {(kind, number) for kind in CountClass for number in law.thresholds(kind)}


def test_each_rule_of_the_border_is_shown():
    rules = read_table(ROOT / "policies" / "data", "rules")
    of_border = {rule for rule in rules if re.fullmatch(r"R(5\d|6[0-8])", rule)}
    assert len(of_border) == 19
    assert of_border == {*OWN.values(), *(vector.rule for vector in VECTORS)}


@pytest.mark.shared
def test_the_table_is_that_of_the_domain_rules(shared):
    """Every step of the decision function has a vector, and every boundary is word for word."""
    text = (shared / "domain-rules.md").read_text(encoding="utf-8")
    section = text.partition("### 5.3")[2].partition("### 5.4")[0]
    (line,) = re.findall(r"^Boundary vectors: (.*)\.$", section, re.MULTILINE)
    assert line.split("; ") == list(BOUNDARIES)
    steps = {int(step) for step in re.findall(r"^(\d+) ", section, re.MULTILINE)}
    assert steps == set(range(1, 17))
    spans = [re.match(r"(\d+)(?:-(\d+))? ", name) for name in names()]
    found = {
        step for span in spans if span for step in range(int(span[1]), int(span[2] or span[1]) + 1)
    }
    assert found == steps
