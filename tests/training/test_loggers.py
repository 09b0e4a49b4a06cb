"""Loggers beside metrics.jsonl: what the services are told, resumed and refused."""

import importlib
import json
import sys
import types

import pytest

import tiny
from potstill.errors import MissingExtraError, OutputError
from potstill.training.recipe.file import make_recipe
from potstill.training.run.loggers import make_loggers
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, stop_at


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return tiny.write_squad(tmp_path_factory.mktemp("data") / "train.json", copies=4)


def recipe(base, train, out, **more):
    values = {"base": str(base), "train": str(train), "out": str(out), "batch_tokens": 100}
    values |= {"max_steps": 3, "log_steps": 1, "threads": 1, "seq_len": 128, "stride": 32}
    return make_recipe({**values, **more})


class Service(types.ModuleType):
    """Stands in for both libraries: keeps what it was told."""

    class Error(Exception):
        """As wandb has one."""

    def __init__(self):
        super().__init__("service")
        self.begun, self.logged, self.ended = [], [], []

    def Settings(self, **values):  # noqa: N802 - wandb's own name
        return values

    def init(self, **values):
        self.begun.append(values)
        sys.stdout.write("a word of its own")
        return self

    def log(self, values, step):
        sys.stdout.write("a word of its own")
        self.logged.append((step, values))

    def finish(self, **values):
        sys.stdout.write("a word of its own")
        self.ended.append(values)


@pytest.fixture(params=["wandb", "trackio"])
def service(request, monkeypatch):
    made = Service()
    made.name = request.param
    monkeypatch.setitem(sys.modules, request.param, made)
    return made


def test_every_line_of_the_metrics_is_told(service, base, train, tmp_path, capsys):
    asked = recipe(base, train, tmp_path / "my run", **{service.name: "p"}, dev=str(train))
    start(asked)
    (begun,) = service.begun
    assert begun["project"] == "p"
    assert begun["name"].startswith("my-run-")
    assert begun["config"]["batch_tokens"] == 100
    assert "out" not in begun["config"]
    lines = list(map(json.loads, (tmp_path / "my run/metrics.jsonl").read_text().splitlines()))
    told = [(line.pop("step"), line) for line in lines]
    for _, line in told:
        line.pop("seconds", None), line.pop("total", None)
    assert service.logged == told
    assert len(service.ended) == 1
    assert capsys.readouterr().out == ""


def test_a_resumed_run_goes_on_under_its_name_and_a_stop_is_told(service, base, train, tmp_path):
    asked = recipe(base, train, tmp_path, **{service.name: "p"}, save_steps=1)
    with pytest.raises(Stopped):
        start(asked, listeners=stop_at(2))
    assert service.ended == [{"exit_code": 1} if service.name == "wandb" else {}]
    start(asked, resume=True)
    first, second = service.begun
    assert second["name"] == first["name"]
    assert second["resume"] == "allow"
    assert "resume" not in first
    other = recipe(base, train, tmp_path / "other", **{service.name: "p"})
    start(other)
    assert service.begun[2]["name"] != first["name"]


def both(monkeypatch):
    made = {}
    for name in ("wandb", "trackio"):
        made[name] = Service()
        made[name].name = name
        monkeypatch.setitem(sys.modules, name, made[name])
    return made


def points(folder):
    """What TensorBoard shows of a run's losses."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return [(one.step, one.value) for one in found.Scalars("loss")]


@pytest.mark.parametrize("stopped", [3, 4])
def test_several_resumed_keep_their_names_and_say_nothing_twice(
    base, train, tmp_path, monkeypatch, stopped
):
    """Stopped behind a checkpoint of step 2: what was told of the steps since is not told again."""
    services = both(monkeypatch)
    more = {"wandb": "w", "trackio": "t", "tensorboard": True, "save_steps": 2, "max_steps": 6,
            "evaluate_steps": 2, "dev": str(train)}  # fmt: skip
    asked = recipe(base, train, tmp_path / "run", **more)
    with pytest.raises(Stopped):
        start(asked, listeners=stop_at(stopped))
    start(asked, resume=True)
    whole = recipe(base, train, tmp_path / "whole", **more)
    told = {}
    for name, one in services.items():
        first, second = one.begun
        assert first["name"] == second["name"] and second["resume"] == "allow"
        told[name] = list(one.logged)
        one.logged.clear()
    assert services["wandb"].begun[0]["id"] == services["wandb"].begun[1]["id"]
    start(whole)
    for name, one in services.items():
        assert [(step, sorted(values)) for step, values in told[name]] == [
            (step, sorted(values)) for step, values in one.logged
        ]
    assert points(tmp_path / "run") == points(tmp_path / "whole")
    assert [step for step, _ in points(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]


def test_a_name_of_an_earlier_version_goes_on(base, train, tmp_path, monkeypatch):
    services = both(monkeypatch)
    asked = recipe(base, train, tmp_path, wandb="w", save_steps=1)
    with pytest.raises(Stopped):
        start(asked, listeners=stop_at(2))
    (tmp_path / "logged-as.txt").write_text("its-name-1234\n")
    start(asked, resume=True)
    assert services["wandb"].begun[1]["name"] == "its-name-1234"


def test_a_service_that_refuses_is_one_line_before_the_first_step(service, base, train, tmp_path):
    def refuse(**_):
        raise service.Error("no api key\nconfigured")

    service.init = refuse
    steps = []
    with pytest.raises(OutputError, match=rf"no api key configured.*leave {service.name} out"):
        start(
            recipe(base, train, tmp_path, **{service.name: "p"}),
            listeners=Listeners(step=steps.append),
        )
    assert not steps


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_missing_library_is_named_with_its_extra(name, base, train, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'potstill\[{name}\]'"):
        make_loggers(recipe(base, train, tmp_path, **{name: "p"}))


@pytest.mark.filterwarnings("ignore")  # wandb's own, of libraries it imports
def test_weights_and_biases_offline(base, train, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    pytest.importorskip("wandb", reason="needs Weights & Biases: pip install 'potstill[wandb]'")
    start(recipe(base, train, tmp_path, wandb="p"))
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert b"grad_norm" in written
    assert (tmp_path / "logged-as.txt").read_text().split()[1] in file.name


@pytest.mark.filterwarnings("ignore")  # of the web server that trackio imports
def test_trackio_writes_its_database(base, train, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip("trackio", reason="needs trackio: pip install 'potstill[trackio]'")
    asked = recipe(base, train, tmp_path / "run", trackio="p", save_steps=2, max_steps=5)
    with pytest.raises(Stopped):
        start(asked, listeners=stop_at(3))
    start(asked, resume=True)
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    name = (tmp_path / "run/logged-as.txt").read_text().split()[1]
    lines = storage.get_logs("p", name)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5]
