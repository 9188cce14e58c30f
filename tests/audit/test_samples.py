"""The tampered samples that ship: the stand-alone verifier refuses each, for the right reason."""

import time

import pytest

from audit.samples import samples
from audit.standalone import verifier
from audit.standalone.verifier import Refused, Trust
from gateway.cli.audit_samples import make_original
from tests.policies.engines import opa_binary

pytestmark = pytest.mark.opa


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_original(tmp_path_factory.mktemp("samples") / "home", int(time.time()))


@pytest.fixture(scope="module")
def trust(original):
    return Trust.of_policy(original.trust)


@pytest.mark.parametrize("engine", ["opa", "wasm"])
def test_the_good_ones_hold_and_decide_again(original, trust, engine):
    for pack in (original.good(), original.good_span()):
        words = {"again": True, "engine": engine, "opa": str(opa_binary())}
        report, _ = verifier.verify(pack, trust, **words)
        assert any("made again" in text for _, text in report.checked)
        assert report.notes == []


def test_the_same_content_gives_the_same_bytes(original):
    assert original.good() == original.good()


def test_every_bad_one_is_refused_for_its_reason(original, trust):
    wrong, names = [], []
    for sample in samples(original):
        names.append(sample.name)
        try:
            verifier.verify(sample.data, trust, again=sample.replay, opa=str(opa_binary()))
        except Refused as refusal:
            if refusal.code != sample.code:
                wrong.append((sample.name, sample.code, refusal.code, str(refusal)))
        else:
            wrong.append((sample.name, sample.code, "HOLDS", ""))
    assert wrong == []
    assert len(names) > 150
    assert len(set(names)) == len(names)


def test_only_deciding_again_shows_a_decision_that_was_made_up(original, trust):
    for sample in samples(original):
        if sample.replay:
            verifier.verify(sample.data, trust)  # holds without --replay, and says so


def test_a_checkpoint_from_elsewhere_shows_a_fork(original):
    lone = Trust.of_key(original.trust.splitlines()[0].removeprefix("log "))
    fork = original.log.changed(0, lambda entry: entry.update(node="elsewhere"))
    data = fork.pack(original.content, (), 0)
    verifier.verify(data, lone)  # without witnesses a fork looks like the log itself
    with pytest.raises(Refused) as caught:
        verifier.verify(data, lone, known=original.log.checkpoint().note)
    assert caught.value.code == "FORK"


def test_without_witnesses_it_says_what_that_means(original):
    lone = Trust.of_key(original.trust.splitlines()[0].removeprefix("log "))
    report, _ = verifier.verify(original.good(), lone)
    assert any(text.startswith("witnesses:") for text in report.not_checked)
