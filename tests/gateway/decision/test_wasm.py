import json
import subprocess
import tarfile
import threading
from dataclasses import replace

import pytest

from gateway.decision.bundle import load
from gateway.decision.input import at_time, build_input, canonical
from gateway.decision.spelling import groups_of, spelled_out
from gateway.decision.wasm import WasmEngine, result_of
from gateway.domain.errors import UnavailableError
from tests.policies import facts_world as w
from tests.policies.engines import LAW, opa_binary


@pytest.fixture(scope="module")
def bundle():
    return load()


@pytest.fixture(scope="module")
def engine(bundle):
    return WasmEngine(bundle, deadline_ms=60_000)


def document(*fields):
    facts = w.facts(request=w.request(*fields))
    return at_time(canonical(build_input(facts, LAW.limits)), facts.now)


def named(asked, answer):
    """Return the fields of an answer by their names."""
    return spelled_out(answer, groups_of(json.loads(asked)))["fields"]


def test_the_same_input_gives_the_same_answer_for_ever(engine):
    asked = document("uscc", "score")
    answers = [engine.evaluate_now(asked) for _ in range(200)]
    assert all(answer == answers[0] for answer in answers)
    assert named(asked, answers[0]) == {"uscc": "allow", "score": "drop"}


def test_a_small_input_after_a_large_one_sees_none_of_it(engine):
    engine.evaluate_now(document(*w.NAMES))
    assert named(document("uscc"), engine.evaluate_now(document("uscc"))) == {"uscc": "allow"}


@pytest.mark.parametrize("garbage", [b"", b"{", b"\0\0", b"nonsense", b'{"now":1', b"\xff\xfe"])
def test_an_unreadable_input_is_refused_and_the_engine_recovers(engine, garbage):
    with pytest.raises(UnavailableError) as caught:
        engine.evaluate_now(garbage)
    assert caught.value.code in {"POLICY_UNAVAILABLE", "POLICY_UNDEFINED"}
    assert engine.evaluate_now(document("uscc"))["allow"]


def test_an_input_over_the_limit_is_refused_and_the_engine_recovers(engine):
    with pytest.raises(UnavailableError):
        engine.evaluate_now(b'{"pad":"' + b"x" * (1 << 20) + b'"}')
    assert engine.evaluate_now(document("uscc"))["allow"]


def test_an_input_of_hundreds_of_kilobytes_fits(engine):
    padded = document("uscc")[:-1] + b',"pad":"' + b"x" * 300_000 + b'"}'
    assert engine.evaluate_now(padded)["allow"]


def test_an_empty_input_is_no_permission(engine):
    with pytest.raises(UnavailableError) as caught:
        engine.evaluate_now(b"{}")
    assert caught.value.code == "POLICY_UNDEFINED"


def test_threads_take_turns(engine):
    wanted = {name: document(name) for name in w.NAMES}
    wrong = []

    def ask(name):
        answers = [named(wanted[name], engine.evaluate_now(wanted[name])) for _ in range(50)]
        wrong.extend(name for answer in answers if set(answer) != {name})

    threads = [threading.Thread(target=ask, args=(name,)) for name in w.NAMES[:6]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_something_that_is_no_policy_is_a_mismatch(bundle):
    with pytest.raises(UnavailableError) as caught:
        WasmEngine(replace(bundle, wasm=b"\0asm garbage"))
    assert caught.value.code == "POLICY_MISMATCH"


@pytest.mark.parametrize("answer", [[], {}, None, [{"result": 1}, {"result": 2}], [{}]])
def test_no_single_result_is_undefined(answer):
    with pytest.raises(UnavailableError) as caught:
        result_of(answer)
    assert caught.value.code == "POLICY_UNDEFINED"


def compiled(tmp_path, bundle, source, *arguments):
    (tmp_path / "p.rego").write_text(source, encoding="utf-8")
    command = [opa_binary(), "build", "-t", "wasm", "-e", "xinguan/decision", *arguments]
    subprocess.run(
        [*command, "-o", "out.tar.gz", "p.rego"], cwd=tmp_path, check=True, capture_output=True
    )
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        return replace(bundle, wasm=archive.extractfile("/policy.wasm").read())


SLOW = """package xinguan

decision := count([1 |
	some i in numbers.range(1, 3000)
	some j in numbers.range(1, 3000)
	i * j == input.x
])
"""


@pytest.mark.opa
def test_a_policy_that_runs_too_long_is_ended_and_the_engine_recovers(tmp_path, bundle):
    engine = WasmEngine(compiled(tmp_path, bundle, SLOW), deadline_ms=20)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            engine.evaluate_now(b'{"x":7}')
        assert caught.value.code == "POLICY_UNAVAILABLE"


@pytest.mark.opa
def test_a_policy_that_needs_the_host_is_refused(tmp_path, bundle):
    source = "package xinguan\n\ndecision := time.now_ns()\n"
    with pytest.raises(UnavailableError) as caught:
        WasmEngine(compiled(tmp_path, bundle, source))
    assert caught.value.code == "POLICY_MISMATCH"


async def test_a_closed_engine_answers_nothing(bundle):
    engine = WasmEngine(bundle, deadline_ms=60_000)
    await engine.close()
    await engine.close()
    with pytest.raises(UnavailableError):
        await engine.evaluate(document("uscc"))
