"""What a checkpoint keeps, file by file, and what is said where it cannot be taken."""

import json
import os
import shutil

import pytest
import torch

from potstill.bundle.manifest import digest_of
from potstill.errors import CheckpointError
from potstill.training.run import checkpoint
from potstill.training.run.averaging import Average


def made(seed=0, width=2):
    """A small model and its optimiser after one step."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(width, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, width)).sum().backward()
    optimizer.step()
    return model, optimizer


def kept(folder, step=4, seed=0, average=None, random=None, keep=9):
    model, optimizer = made(seed)
    progress = checkpoint.Progress(step, 2.5, {"data": "f"})
    state = random or [checkpoint.random_state()]
    return checkpoint.save(folder, model, optimizer, progress, state, average=average, keep=keep), (
        model,
        optimizer,
    )


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def moments(model, optimizer):
    names = {p: name for name, p in model.named_parameters()}
    return {f"{names[p]}/{k}": v for p, s in optimizer.state.items() for k, v in s.items()}


def test_weights_moments_and_generators_come_back(tmp_path):
    path, (model, optimizer) = kept(tmp_path)
    other, its = made(seed=1)
    assert not same(model.state_dict(), other.state_dict())
    checkpoint.restore(path, other, its)
    assert same(model.state_dict(), other.state_dict())
    assert same(moments(model, optimizer), moments(other, its))
    assert path.name == "step-000000004"
    assert checkpoint.read_progress(path) == checkpoint.Progress(4, 2.5, {"data": "f"})
    path, _ = kept(tmp_path, step=5)
    drawn = torch.rand(3)
    torch.rand(9)
    checkpoint.restore(path, other, its)
    torch.testing.assert_close(torch.rand(3), drawn, rtol=0, atol=0)


def test_an_average_comes_back_or_starts_from_the_weights(tmp_path):
    weights = {"weight": torch.full((1, 2), 7.0), "bias": torch.full((1,), 8.0)}
    with_average, (model, _) = kept(tmp_path / "a", average=weights)
    without, _ = kept(tmp_path / "b")
    other, its = made(seed=1)
    average = Average(other, 0.9)
    checkpoint.restore(with_average, other, its, average=average)
    assert same(average.weights, weights)
    checkpoint.restore(without, other, its, average=average)
    assert same(average.weights, dict(model.state_dict()))


def test_each_process_has_its_own_generator(tmp_path):
    states = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        states.append({"cpu": torch.get_rng_state()})
    path, _ = kept(tmp_path, random=states)
    model, optimizer = made()
    for rank in (0, 1):
        checkpoint.restore(path, model, optimizer, rank=rank, world=2)
        assert torch.equal(torch.get_rng_state(), states[rank]["cpu"])
    torch.manual_seed(7)
    before = torch.get_rng_state()
    for world in (1, 3):  # of another number of processes nothing could be equal
        checkpoint.restore(path, model, optimizer, rank=0, world=world)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("devices", "taken"), [(0, False), (1, False), (2, True), (3, False)])
def test_generators_of_devices_are_taken_on_as_many(tmp_path, monkeypatch, devices, taken):
    own = [torch.full((16,), i, dtype=torch.uint8) for i in (1, 2)]
    state = {"cpu": torch.get_rng_state(), "cuda0": own[0], "cuda1": own[1]}
    path, _ = kept(tmp_path, random=[state])
    found = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", found.extend)
    checkpoint.restore(path, *made())
    assert [int(one[0]) for one in found] == ([1, 2] if taken else [])


def test_one_that_cannot_be_removed_stops_no_run(tmp_path, monkeypatch):
    first, _ = kept(tmp_path, step=1)

    def refused(*args, **kwargs):
        raise PermissionError("in use")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refused)
        second, _ = kept(tmp_path, step=2, keep=1)
    assert second.is_dir()
    assert checkpoint.latest(tmp_path) == second
    kept(tmp_path, step=3, keep=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000003"]
    assert not first.exists()


def test_only_folders_of_that_name_are_checkpoints(tmp_path):
    assert checkpoint.latest(tmp_path / "none") is None
    assert checkpoint.chosen(tmp_path / "none", True) is None
    path, _ = kept(tmp_path, step=12)
    for name in ("step-13", "step-0000000131", "left-step-000000014", "xstep-000000015"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-000000016").write_text("")
    assert checkpoint.latest(tmp_path) == path == checkpoint.chosen(tmp_path, True)
    for name in ("12", "step-12", "step-000000012"):
        assert checkpoint.chosen(tmp_path, name) == path
    with pytest.raises(CheckpointError, match=r"no checkpoint '1': it has step-000000012"):
        checkpoint.chosen(tmp_path, "1")
    with pytest.raises(CheckpointError, match=r"no checkpoint '1': it has none"):
        checkpoint.chosen(tmp_path / "none", "1")


def rewritten(path, **changes):
    """A state with keys changed, or taken away by ``None``, and a digest that fits it."""
    state = json.loads((path / "state.json").read_text())
    state = {k: v for k, v in {**state, **changes}.items() if v is not None}
    state.pop("digest", None)
    if changes.get("files", 0) is not None:
        state["digest"] = digest_of(state)
    (path / "state.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: rewritten(p, step=5), "state.json is of step 5"),
        (lambda p: rewritten(p, files={"model.safetensors": "0"}), "model.safetensors is not what"),
        (lambda p: rewritten(p, files={"none.safetensors": "0"}), "[Errno 2] No"),
        (lambda p: (p / "state.json").write_text("[]"), ""),
        (lambda p: (p / "state.json").write_text("{"), "Expecting"),
        (lambda p: (p / "state.json").write_text('{"digest": "x"}'), "state.json was changed"),
    ],
)
def test_what_is_wrong_with_one_is_said_and_the_newest_whole_one_named(tmp_path, damage, reason):
    for step in (1, 2, 3):
        kept(tmp_path, step=step)
    path, _ = kept(tmp_path, step=4)
    assert checkpoint.chosen(tmp_path, True) == path
    damage(path)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.chosen(tmp_path, True)
    said = str(refused.value)
    assert f"{path} cannot be used ({reason}" in said
    assert said.endswith("--resume=step-000000003 goes on from the newest whole one")
    assert checkpoint.chosen(tmp_path, "3").name == "step-000000003"


def test_one_without_hashes_of_an_older_version_is_taken(tmp_path):
    path, _ = kept(tmp_path)
    rewritten(path, files=None)
    assert checkpoint.chosen(tmp_path, True) == path


def test_those_behind_the_one_that_is_gone_on_from_are_set_aside(tmp_path):
    paths = [kept(tmp_path, step=step)[0] for step in (1, 2, 3, 4)]
    checkpoint.set_aside(tmp_path, paths[1])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "left-step-000000003", "left-step-000000004", "step-000000001", "step-000000002",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: (p / "model.safetensors").unlink(),
        lambda p: (p / "model.safetensors").write_bytes(b"x"),
        lambda p: (p / "random.safetensors").unlink(),
        lambda p: shutil.copy(p / "random.safetensors", p / "model.safetensors"),
        lambda p: shutil.copy(p / "model.safetensors", p / "random.safetensors"),
        lambda p: (p / "optimizer.safetensors").write_bytes(b""),
    ],
)
def test_what_cannot_be_restored_is_one_line(tmp_path, damage):
    path, _ = kept(tmp_path)
    damage(path)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.restore(path, *made())
    said = str(refused.value)
    assert said.startswith(f"checkpoint {path} cannot be used (") and "\n" not in said
    assert said.endswith("remove it to go on from the one before")


def test_weights_of_another_model_are_refused(tmp_path):
    path, _ = kept(tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot be used \(Error\(s\) in loading"):
        checkpoint.restore(path, *made(width=3))


@pytest.mark.parametrize("text", ["{", "[]", '{"step": 1, "seconds": 2}', '{"step": "x"}', "5"])
def test_a_state_that_cannot_be_read(tmp_path, text):
    path, _ = kept(tmp_path)
    (path / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match="remove it to go on from the one before"):
        checkpoint.read_progress(path)


def test_a_disk_that_is_full_leaves_the_older_ones(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    from potstill.errors import OutputError

    path, _ = kept(tmp_path, step=1)

    def full(*args, **kwargs):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        kept(tmp_path, step=2, keep=1)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
