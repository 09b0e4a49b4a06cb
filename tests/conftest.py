"""What all tests share: no network, no foreign caches, no deadlines."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Shared machines pause: a slow example is not a wrong one.
settings.register_profile(
    "potstill",
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("potstill"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "potstill")

ROOT = Path(__file__).parent.parent
PROCESSES = Path(__file__).parent / "processes"
"""On the path of every process that a test starts; see its ``sitecustomize``."""
TAKEN_WHERE = {
    "network": lambda: bool(os.environ.get("POTSTILL_NETWORK")),
    "gpu": lambda: shutil.which("nvidia-smi") is not None,
    "engine": lambda: any((ROOT / "src/potstill/runtime/engine").glob("*potstill.[ds]*")),
    "shared": lambda: bool(os.environ.get("POTSTILL_DATA")),
}
"""Marker → whether this machine has what its tests need."""
LACKING = {
    "network": "the network: POTSTILL_NETWORK is not set",
    "gpu": "a GPU: there is none",
    "engine": "the native engine: there was no C++ compiler",
    "shared": "data sets: POTSTILL_DATA is not set",
}
"""Marker → what its tests wanted, in the summary."""


def pytest_configure(config: pytest.Config) -> None:
    """Points every cache at an empty folder before any library reads where its cache is."""
    home = tempfile.mkdtemp(prefix="potstill-tests-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ.update(
        HF_HOME=home,
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        XDG_CACHE_HOME=home,
        TOKENIZERS_PARALLELISM="false",
        POTSTILL_RUNTIME="onnxruntime",  # nothing is measured but where a test says so
    )
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "HUGGING_FACE_HUB_TOKEN"):
        os.environ.pop(name, None)
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        # Not where workers are still to be started: they are no processes of a test's.
        paths = [str(PROCESSES), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests whose marker names something this machine lacks."""
    absent = {marker for marker, present in TAKEN_WHERE.items() if not present()}
    left_out = [item for item in items if any(item.get_closest_marker(m) for m in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One list of what was left out, and for want of what."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    lines = [f"{n} {'test' if n == 1 else 'tests'}: {why}" for why, n in sorted(reasons.items())]
    absent = (LACKING[marker] for marker, present in TAKEN_WHERE.items() if not present())
    lines += [f"all that need {lack}" for lack in absent]
    if shutil.which("node") is None:
        lines.append("all of clients/js: there is no Node 20")
    if lines:
        terminalreporter.section("left out on this machine")
        for line in lines:
            terminalreporter.line(line)


# What many files need; imported late, behind `pytest_configure`. A file may have its own.
@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of a tiny reader."""
    import tiny

    return tiny.write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A client of a tiny reader."""
    import tiny
    from potstill.runtime.qa import QAClient

    return QAClient.from_options(tiny.write_model(tmp_path_factory.mktemp("reader")))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder of a tiny encoder without a head."""
    import tiny

    return tiny.write_model(tmp_path_factory.mktemp("base"), head=None)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tiny tokenizer of word pieces."""
    import tiny
    from potstill.text.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.write_tokenizer(folder)
    return Tokenizer.from_folder(folder)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of potstill's for each test."""
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
