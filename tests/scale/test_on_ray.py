"""The Ray engine: the same bytes as the local one, resumed or with an actor lost."""

import json
import os
import signal
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from potstill.errors import JobError, MissingExtraError
from potstill.scale import job
from potstill.scale.job import JobListeners, JobOptions, run_job
from potstill.scale.predict import PredictOptions
from potstill.scale.ray_cluster import library, saying_waits
from running import wait_until


def options(model, **more):
    return JobOptions(
        predict=PredictOptions(model=str(model)), part_rows=32, **{"engine": "ray", **more}
    )


def test_without_ray_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'potstill\[ray\]'"):
        library("data", "--engine ray")


class Busy:
    """A cluster whose processors others hold."""

    def cluster_resources(self):
        return {"CPU": 4.0, "memory": 9.0}

    def available_resources(self):
        return {"memory": 9.0}


def test_what_a_cluster_is_waited_for_is_said_until_work_has_begun(caplog):
    with saying_waits(Busy(), 3, "ask for fewer --workers", seconds=0.02) as begun:
        wait_until(lambda: len(caplog.messages) >= 2)
        begun()
        time.sleep(0.05)
        n = len(caplog.messages)
        time.sleep(0.1)
        assert len(caplog.messages) == n
    assert caplog.messages[0] == (
        "waiting for 3 processors: the Ray cluster has 4, of which 0 are free; "
        "ask for fewer --workers"
    )
    with saying_waits(object(), 3, "", seconds=0.02):  # a cluster that has gone
        time.sleep(0.1)
    assert len(caplog.messages) == n


def test_a_cluster_of_ones_own_reads_by_the_runtime_of_local_workers(
    reader, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(job, "quickest_runtime", lambda *_: "torch")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    for address, runtime in (("", "torch"), ("auto", "onnxruntime")):
        out = tmp_path / f"out{address}.jsonl"
        asked = options(reader, address=address)
        asked = replace(asked, predict=replace(asked.predict, runtime="auto"))
        with pytest.raises(MissingExtraError):
            run_job(source, out, asked)
        facts = json.loads((tmp_path / f"{out.name}.job/job.json").read_text())
        assert facts["options"]["runtime"] == runtime


@pytest.fixture(scope="module")
def ray():
    pytest.importorskip("ray", reason="needs Ray: pip install 'potstill[ray]'")
    pytest.importorskip("pandas", reason="needs Ray Data: pip install 'potstill[ray]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        import ray.data

        ray.init(
            address="local", num_cpus=3, include_dashboard=False, log_to_driver=False,
            logging_level="ERROR", object_store_memory=80 * 2**20,
        )  # fmt: skip
        yield ray
        ray.shutdown()


@pytest.fixture
def source(tmp_path):
    lines = [
        {"n": i, "question": question, "context": f"In {i}, {text}"}
        for i, (text, question, _) in enumerate(tiny.SENTENCES * 50)
    ]
    lines[40] = {"n": 40, "question": ""}
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_it_writes_what_the_local_engine_writes(ray, reader, source, tmp_path):
    run_job(source, tmp_path / "local.jsonl", options(reader, engine="local"))
    out = tmp_path / "ray.jsonl"

    class Stopped(Exception):
        """Raised from outside."""

    def stop(rows, new):
        if len(list((tmp_path / "ray.jsonl.job").glob("part-*"))) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run_job(source, out, options(reader), JobListeners(done=stop))
    result = run_job(source, out, options(reader))
    assert (result.rows, result.bad, result.resumed) == (199, 1, 64)
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def actors():
    """Process ids of Ray's actors on this machine that belong to this process's cluster."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::" in (name := line.read_bytes()) and b"Worker" in name:
                found.append(int(line.parent.name))
        except OSError:
            continue
    return [pid for pid in found if os.getpid() in ancestors(pid)]


def ancestors(pid):
    found = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_an_actor_that_is_killed_costs_no_row(ray, reader, source, tmp_path):
    run_job(source, tmp_path / "local.jsonl", options(reader, engine="local"))
    killed = []

    def kill(rows, new):
        if not killed:
            killed.extend(actors()[:1])
            os.kill(killed[0], signal.SIGKILL)

    out = tmp_path / "ray.jsonl"
    run_job(source, out, options(reader), JobListeners(done=kill))
    assert killed
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_one_line(reader, source, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'potstill[ray]'")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def nobody(**_):
        raise ConnectionError("Could not find any running Ray instance.\nMore of it.")

    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(
        JobError, match=r"no Ray cluster at auto can be used \(Could not find.*ray start"
    ):
        run_job(source, tmp_path / "out.jsonl", options(reader, address="auto"))
