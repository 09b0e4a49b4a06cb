"""``potstill plan`` with a stored profile, as typed."""

import json

import pytest
from click.testing import CliRunner

import profiles
from potstill.cli import main
from potstill.scale.profile import write_profile


@pytest.fixture
def stored(tmp_path):
    write_profile(tmp_path / "p.json", profiles.profile())
    return str(tmp_path / "p.json")


def run(profile, *arguments):
    given = {"--questions-per-day": "5e6", "--context-tokens": "400", "--p99-ms": "200"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    words = [word for pair in given.items() for word in pair]
    return CliRunner().invoke(main, ["plan", "--profile", profile, *words])


def test_people_see_machines_and_cost(stored):
    found = run(stored, "--price-per-hour", "0.25")
    assert found.exit_code == 0, found.output
    lines = dict(line.strip().split("  ", 1) for line in found.stdout.splitlines())
    assert int(lines["machines"]) >= 2
    assert float(lines["cost of a million questions"]) > 0
    assert "a processor, 2 workers of 1 thread" in found.stdout


def test_programs_get_the_same(stored):
    given = ["--questions-per-day", "1000", "--context-tokens", "50", "--p99-ms", "99", "--json"]
    found = CliRunner().invoke(main, ["plan", "--profile", stored, *given])
    values = json.loads(found.stdout)
    assert values["machines"] == 1
    assert values["cost_per_million"] is None
    assert values["load"]["peak"] == 3
    assert values["profile"]["workers"] == 2


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [("--p99-ms", "1", "even alone"), ("--peak", "0", "peak must be at least 1"),
     ("--price-per-hour", "-1", "price_per_hour"), ("--question-tokens", "999", "tokens")],
)  # fmt: skip
def test_what_cannot_be_planned_is_one_line(stored, option, value, says):
    found = run(stored, option, value)
    assert found.exit_code == 1
    assert says in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_profile_that_is_none(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    found = run(str(tmp_path / "x.json"))
    assert found.exit_code == 1
    assert "is not a profile" in found.stderr
