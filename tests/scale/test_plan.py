"""Load and profile → machines and cost; profiles to disk and back."""

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import profiles
from potstill.errors import DataError, InputError, QuestionTooLongError
from potstill.scale import plan as module
from potstill.scale.plan import Load, plan, windows_of
from potstill.scale.profile import WindowTimes, quantiles, read_profile, write_profile


@pytest.fixture(scope="module", autouse=True)
def shorter():
    """Simulations of a few hundred questions: the machines here have no rare events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SEARCHED", 800)
        patch.setattr(module, "_SHOWN", 3000)
        patch.setattr(module, "_STEPS", 8)
        yield


LOAD = Load(questions_per_day=2_000_000, context_tokens=150, p99_ms=100)


def test_a_plan_keeps_what_it_promises():
    found = plan(profiles.profile(), LOAD, price_per_hour=0.5)
    assert found.peak_rate == pytest.approx(2e6 / 86400 * 3)
    assert found.machines == math.ceil(found.peak_rate / found.machine_rate)
    assert found.p99_ms <= 100 * 1.2
    assert found.p50_ms < found.p99_ms
    assert found.alone_ms <= found.p50_ms
    assert found.utilisation <= 0.64
    assert found.mean_utilisation == pytest.approx(found.utilisation / 3)
    assert found.cost_per_million == pytest.approx(found.machines * 0.5 * 24 / 2)
    assert plan(profiles.profile(), LOAD).cost_per_million is None


def test_the_machine_can_be_no_faster_than_its_workers():
    profile = profiles.profile()
    found = plan(profile, replace(LOAD, p99_ms=1000))
    (tokens,) = windows_of(profile, LOAD)
    assert found.limit == "utilisation"
    mean = sum(profile.service([tokens], random.Random(n))[1] for n in range(500)) / 500
    assert found.machine_rate == pytest.approx(0.6 * 2 / mean, rel=0.08)
    assert plan(profile, replace(LOAD, p99_ms=26)).limit == "p99"


@settings(max_examples=3, deadline=None)
@given(st.floats(1e4, 1e8), st.floats(1.0, 4.0), st.floats(40, 400), st.integers(50, 900))
def test_more_is_never_less(questions, times, p99, tokens):
    load = Load(questions_per_day=questions, context_tokens=tokens, p99_ms=p99 + tokens)
    found = plan(profiles.profile(), load, price_per_hour=1)
    more = plan(profiles.profile(), replace(load, questions_per_day=questions * times))
    assert more.machines >= found.machines
    later = plan(profiles.profile(), replace(load, p99_ms=2 * load.p99_ms))
    assert later.machine_rate >= found.machine_rate * 0.98
    busier = plan(profiles.profile(), replace(load, peak=load.peak * times))
    assert busier.machines >= found.machines
    bigger = plan(profiles.profile(workers=4), load)
    assert bigger.machine_rate >= found.machine_rate * 0.98


def test_windows_are_those_that_the_reader_cuts():
    profile = profiles.profile()
    assert windows_of(profile, LOAD) == [165]
    assert windows_of(profile, replace(LOAD, context_tokens=600)) == [384, 374]
    assert windows_of(replace(profile, n_special=4), LOAD) == [166]
    with pytest.raises(QuestionTooLongError):
        windows_of(profile, replace(LOAD, question_tokens=400))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"questions_per_day": 0}, "questions_per_day must be above 0, not 0"),
        ({"questions_per_day": math.nan}, "questions_per_day"),
        ({"context_tokens": 0}, "context_tokens must be at least 1"),
        ({"question_tokens": -1}, "question_tokens"),
        ({"p99_ms": math.inf}, "p99_ms"),
        ({"peak": 0.5}, "peak must be at least 1"),
        ({"max_utilisation": 1}, "max_utilisation must be between 0 and 1"),
    ],
)
def test_loads_that_are_none(values, says):
    with pytest.raises(InputError, match=says):
        replace(LOAD, **values)


def test_a_promise_that_no_machine_can_keep():
    with pytest.raises(InputError, match=r"p99_ms 5: a question of 1 windows takes .* even alone"):
        plan(profiles.profile(), replace(LOAD, p99_ms=5))
    with pytest.raises(InputError, match="price_per_hour"):
        plan(profiles.profile(), LOAD, price_per_hour=-1)


def test_a_profile_is_read_back(tmp_path):
    profile = profiles.profile(evidence={"requests": 5})
    write_profile(tmp_path / "p.json", profile)
    assert read_profile(tmp_path / "p.json") == profile


@pytest.mark.parametrize(
    "change",
    [
        {"workers": 0}, {"http_s": -1}, {"http_s": "x"}, {"alone": []}, {"together": [{}]},
        {"alone": [{"tokens": 9, "n": 1, "seconds": [2, 1]}]}, {"batch_factor": 0},
        {"front_factor": 0},
        {"alone": [{"tokens": 9, "n": 1, "seconds": [0, 1]}]}, {"format_version": 2},
        {"alone": [{"tokens": n, "n": 1, "seconds": [1, 2]} for n in (9, 5)]},
    ],
)  # fmt: skip
def test_a_damaged_profile_is_refused(tmp_path, change):
    path = tmp_path / "p.json"
    write_profile(path, profiles.profile())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"p\.json is"):
        read_profile(path)


def test_times_lie_between_those_that_were_measured():
    profile = profiles.profile(batch_factor=0.5)
    drawn = [profile.service([100], random.Random(n))[0] for n in range(300)]
    low, high = 0.02 / 384 * 100, 0.02 / 384 * 150
    assert low <= min(drawn) < low * 1.02
    assert high * 0.98 < max(drawn) <= high
    half = profile.service([75], random.Random(0))[0]
    hundred = profile.service([100], random.Random(0))[0]
    assert half == pytest.approx(0.75 * hundred)
    alone, together = profile.service([384], random.Random(0))
    assert together > alone
    assert profile.service([100, 90], random.Random(0))[0] == pytest.approx(hundred)
    assert profiles.profile(front_factor=2.0).paced_front([100, 100]) == (
        pytest.approx(0.0017), pytest.approx(0.0034),
    )  # fmt: skip
    assert profile.front([100, 100]) == pytest.approx(0.0017)
    assert quantiles([1.0, 3.0])[20] == WindowTimes(1, 2, quantiles([1.0, 3.0])).median == 2.0
