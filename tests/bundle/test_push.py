"""Publishing, against a stand-in hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import hub_server
import tiny
from potstill.bundle.push import publishable
from potstill.cli import main
from potstill.errors import ModelError
from potstill.export.bundle import export_bundle


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    place = tmp_path_factory.mktemp("bundle")
    export_bundle(tiny.write_model(place / "model"), place / "reader", ["hf", "onnx", "int8"])
    return place / "reader"


@pytest.fixture
def bundle(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "reader")


@pytest.fixture
def hub(tmp_path):
    with hub_server.running() as hub:
        hub.store = tmp_path / "hub"
        yield hub


def push(hub, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads its environment when it is imported."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    # The stand-in speaks LFS, which every hub does, and not Xet.
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub_server.TOKEN, "HF_HUB_DISABLE_XET": "1"}
    settings["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "potstill", "push", *map(str, arguments)],
        env={**clean, **settings, "HF_HOME": str(hub.store / "home"), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def names(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


def test_a_bundle_is_published_whole_and_pulled_the_same(hub, bundle, tmp_path) -> None:
    (bundle / "checkpoints").mkdir()
    (bundle / "checkpoints" / "step-1.safetensors").write_bytes(b"no business of the hub's")
    (bundle / "recipe.json").write_text('{"train": "/home/me/train.json"}')
    done = push(hub, "team/reader", bundle, "--private", "--message", "The first")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{hub.url}/team/reader/commit/{hub_server.COMMIT}"
    there = hub.store / "team/reader"
    assert names(there) == names(bundle) - {"checkpoints/step-1.safetensors", "recipe.json"}
    assert all((there / name).read_bytes() == (bundle / name).read_bytes() for name in names(there))
    assert hub.created[0].get("visibility", hub.created[0].get("private")) in ("private", True)
    assert hub.commits[0]["summary"] == "The first"
    env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    out = tmp_path / "pulled"
    arguments = ["pull", "team/reader", "--out", str(out)]
    pulled = subprocess.run(
        [sys.executable, "-m", "potstill", *arguments],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("HF_")}, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert pulled.returncode == 0, pulled.stderr
    assert publishable(out) == {k: v for k, v in publishable(bundle).items() if k in names(out)}


def test_a_push_that_broke_off_sends_only_the_rest(hub, bundle) -> None:
    large = sorted(n for n in names(bundle) if n.endswith((".safetensors", ".onnx")))
    assert len(large) == 3
    hub.uploads_left = 2
    done = push(hub, "team/reader", bundle)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("potstill: error: ")
    assert len(hub.blobs) == 2 and hub.commits == []  # nothing half: no commit names them
    hub.uploads_left = 1
    assert push(hub, "team/reader", bundle).returncode == 0
    assert sorted(hub.commits[0]["files"]) == sorted(publishable(bundle))
    assert push(hub, "team/reader", bundle).returncode == 0
    assert len(hub.commits) == 1, "a bundle that is there already needs no commit"


def test_what_the_model_has_no_longer_is_taken_away(hub, bundle) -> None:
    there = hub.store / "team/reader"
    (there / "onnx").mkdir(parents=True)
    (there / "onnx" / "model_fp16.onnx").write_bytes(b"of an older model")
    (there / "notes.txt").write_text("somebody's own")
    hub.models["team/reader"] = there
    assert push(hub, "team/reader", bundle).returncode == 0
    assert hub.commits[0]["deleted"] == ["onnx/model_fp16.onnx"]
    assert (there / "notes.txt").is_file()


def test_a_branch_is_made(hub, bundle) -> None:
    done = push(hub, "team/reader", bundle, "--revision", "v2")
    assert done.returncode == 0, done.stderr
    assert hub.commits[0]["revision"] == "v2"
    assert names(hub.models["team/reader@v2"]) == set(publishable(bundle))


def test_a_dry_run_sends_nothing(bundle) -> None:
    done = CliRunner().invoke(main, ["push", "team/reader", str(bundle), "--dry-run"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[-1] for line in lines[:-1]] == sorted(publishable(bundle))
    assert lines[-1].split()[0] == f"{sum(publishable(bundle).values()):,}"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"HF_TOKEN": "hf_wrong"}, "does not let you write to 'team/reader' (401)"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "broke off"),
    ],
)
def test_a_hub_that_refuses_is_one_line(hub, bundle, env, message) -> None:
    done = push(hub, "team/reader", bundle, **env)
    assert done.returncode == 1
    assert done.stderr.startswith("potstill: error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_names_that_are_no_ids(bundle) -> None:
    for name in ("reader", "a/b/c"):
        done = CliRunner().invoke(main, ["push", name, str(bundle)])
        assert done.exit_code == 1 and "is not a hub id: give owner/name" in done.stderr


def test_a_sentencepiece_model_is_a_tokenizer(bundle) -> None:
    """As a run leaves it whose base has no other."""
    manifest = json.loads((bundle / "potstill.json").read_text())
    for name in ("tokenizer.json", "vocab.txt"):
        (bundle / name).unlink(missing_ok=True)
        manifest["files"].pop(name, None)
    (bundle / "potstill.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="has no tokenizer"):
        publishable(bundle)
    (bundle / "spm.model").write_bytes(b"pieces")
    assert "spm.model" in publishable(bundle)


def spoil_card(folder: Path) -> None:
    (folder / "README.md").write_text("---\ntags: [a\n---\n# A\n")


def spoil_weights(folder: Path) -> None:
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"\0")


def lose_weights(folder: Path) -> None:
    manifest = json.loads((folder / "potstill.json").read_text())
    manifest["files"] = {}
    (folder / "potstill.json").write_text(json.dumps(manifest))
    for file in [*folder.glob("onnx/*"), folder / "model.safetensors"]:
        file.unlink()


def climb_out(folder: Path) -> None:
    (folder.parent / "secret").write_text("s")
    manifest = json.loads((folder / "potstill.json").read_text())
    manifest["files"]["../secret"] = manifest["files"].pop("vocab.txt")
    (folder / "potstill.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "README.md").unlink(), "has no README.md: write a model card"),
        (lambda f: (f / "README.md").write_text("# A\n"), "has no front matter"),
        (lambda f: (f / "potstill.json").unlink(), "has no potstill.json"),
        (lambda f: (f / "config.json").unlink(), "config.json"),
        (lambda f: (f / "onnx" / "model.onnx").unlink(), "is missing, though potstill.json"),
        (lambda f: shutil.rmtree(f), "is not a folder"),
        (spoil_card, "front matter"),
        (spoil_weights, "is not the file that potstill.json describes"),
        (lose_weights, "holds no weights"),
        (climb_out, "secret is missing, though"),
    ],
)
def test_what_is_no_bundle_is_refused_in_one_line(bundle, spoil, message) -> None:
    spoil(bundle)
    with pytest.raises(ModelError) as caught:
        publishable(bundle)
    assert message in str(caught.value) and "\n" not in str(caught.value)
