"""Downloads, against a stand-in hub on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hub_server
import tiny
from potstill.bundle.find import embedded_folder, find_model
from potstill.errors import ModelNotFoundError

CODE = """
import sys
import time
from pathlib import Path
from potstill.bundle.hub import pull
from potstill.errors import PotstillError
model, out, revision = (word or None for word in sys.argv[1:])
time.sleep = lambda seconds: None  # huggingface_hub waits up to 8 s before it tries again
try:
    print(pull(model, Path(out) if out else None, revision=revision))
except PotstillError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def hub():
    with hub_server.running() as hub:
        yield hub


class Client:
    """Runs the client in a process of its own: huggingface_hub reads its environment at import."""

    def __init__(self, hub: hub_server.Hub, home: Path) -> None:
        self.hub, self.home = hub, home
        self.url = hub.url

    def pull(self, model: str, out: str = "", revision: str = "", **env: str) -> str:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        settings = {"HF_HOME": str(self.home), "HF_ENDPOINT": self.url, **env}
        done = subprocess.run(
            [sys.executable, "-c", CODE, model, out, revision],
            env={**clean, **settings},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def client(hub, tmp_path):
    hub.models.clear(), hub.private.clear(), hub.downloads.clear()
    hub.models["team/reader"] = tiny.write_model(tmp_path / "reader")
    hub.broken, hub.cut, hub.breaks = False, None, False
    return Client(hub, tmp_path / "home")


def names(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


def test_only_what_is_used_is_downloaded_and_kept(client) -> None:
    source = client.hub.models["team/reader"]
    (source / "onnx").mkdir()
    for name in ("onnx/model.onnx", "onnx/model_O4.onnx", "pytorch_model.bin", "tf_model.h5"):
        (source / name).write_bytes(b"large")
    folder = Path(client.pull("team/reader"))
    assert names(folder) == {
        "config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json",
    }  # fmt: skip
    for name in names(folder):
        assert (folder / name).read_bytes() == (source / name).read_bytes()
    client.hub.downloads.clear()
    assert Path(client.pull("team/reader", HF_HUB_OFFLINE="1")) == folder
    assert client.hub.downloads == []


@pytest.mark.parametrize(
    "name", ["onnx/model.onnx", "onnx/model_quantized.onnx", "pytorch_model.bin"]
)
def test_other_weights_are_downloaded_where_there_is_no_safetensors(client, name) -> None:
    source = client.hub.models["team/reader"]
    (source / "model.safetensors").unlink()
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_bytes(b"weights")
    assert name in names(Path(client.pull("team/reader")))


@pytest.mark.parametrize("alone", [True, False])
def test_sentencepieces_file_is_downloaded_where_it_is_all_there_is(client, alone) -> None:
    source = client.hub.models["team/reader"]
    (source / "spm.model").write_bytes(b"pieces")
    if alone:
        (source / "vocab.txt").unlink()
    assert ("spm.model" in names(Path(client.pull("team/reader")))) == alone


def test_an_adapter_is_downloaded_alone(client, tmp_path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt"):
        (adapter / name).write_bytes(b"{}")
    client.hub.models["team/adapter"] = adapter
    found = names(Path(client.pull("team/adapter")))
    assert found == {"adapter_config.json", "adapter_model.safetensors"}


def test_pull_copies_to_a_folder_and_refuses_a_full_one(client, tmp_path) -> None:
    out = tmp_path / "copy"
    assert client.pull("team/reader", out=str(out)) == str(out)
    assert (out / "config.json").is_file() and not (out / "config.json").is_symlink()
    before = names(out)
    assert client.pull("team/reader", out=str(out)).startswith("OutputError")
    assert names(out) == before


def sizes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in names(folder))


def test_a_connection_that_is_cut_gets_only_the_rest(client) -> None:
    """In steps of 10 MiB, the client's own chunk: of a broken one nothing is kept."""
    chunk, large = 10 * 2**20, "onnx/model.onnx"
    source = client.hub.models["team/reader"]
    (source / "model.safetensors").unlink()
    (source / "onnx").mkdir()
    (source / large).write_bytes(os.urandom(1000) * 13_000)
    client.hub.cut, client.hub.sent = chunk, 0
    folder = Path(client.pull("team/reader"))
    assert (folder / large).read_bytes() == (source / large).read_bytes()
    ranges = [sent for name, sent in client.hub.downloads if name == large]
    assert ranges == ["", f"bytes={chunk}-"]
    assert client.hub.sent == sizes(folder)


def test_a_pull_that_was_stopped_keeps_the_files_it_had(client) -> None:
    hub = client.hub
    hub.cut, hub.breaks = 4000, True
    said = client.pull("team/reader")
    assert said.startswith("HubError") and "\n" not in said
    had = {name for name, _ in hub.downloads} - {"model.safetensors"}
    hub.broken = hub.breaks = False
    hub.downloads.clear()
    folder = Path(client.pull("team/reader"))
    again = {name for name, _ in hub.downloads}
    assert "model.safetensors" in again and not again & had
    assert again | had == names(folder)


def test_an_unknown_model_says_what_to_check(client) -> None:
    said = client.pull("team/raeder")
    assert said.startswith("ModelNotFoundError 'team/raeder'")
    assert "spelling" in said and "HF_TOKEN" in said and "\n" not in said


def test_a_private_model_needs_the_token(client) -> None:
    client.hub.private.add("team/reader")
    assert "HF_TOKEN" in client.pull("team/reader")
    assert "does it grant access" in client.pull("team/reader", HF_TOKEN="hf_wrong")
    assert Path(client.pull("team/reader", HF_TOKEN=hub_server.TOKEN)).is_dir()


def test_revisions(client) -> None:
    assert Path(client.pull("team/reader", revision=hub_server.COMMIT)).name == hub_server.COMMIT
    said = client.pull("team/reader", revision="v9")
    assert (
        said
        == "ModelNotFoundError 'team/reader' has no revision 'v9': check the branch, tag or commit"
    )


def test_offline_and_not_downloaded(client) -> None:
    said = client.pull("team/reader", HF_HUB_OFFLINE="1")
    assert said.startswith("ModelNotFoundError") and "HF_HUB_OFFLINE" in said


def test_a_hub_that_cannot_be_reached(client) -> None:
    client.url = "http://127.0.0.1:9"
    said = client.pull("team/reader")
    assert said.startswith("HubError") and "could not be reached" in said and "\n" not in said


def test_a_hub_that_is_down(client) -> None:
    client.hub.broken = True
    said = client.pull("team/reader")
    assert said.startswith("HubError") and "500" in said and "\n" not in said


def test_a_repository_without_config_is_no_model(client) -> None:
    (client.hub.models["team/reader"] / "config.json").unlink()
    assert client.pull("team/reader").startswith(
        "ModelNotFoundError team/reader has no config.json"
    )


def test_find_model_takes_folders_and_refuses_nonsense(tmp_path) -> None:
    assert find_model(tmp_path) == tmp_path
    assert find_model(str(tmp_path)) == tmp_path
    file = tmp_path / "file.txt"
    file.write_text("x")
    for wrong in ("", "  ", "a/b/c", "../nowhere/at/all", str(file), "x\0y", "é/è", Path("no")):
        with pytest.raises(ModelNotFoundError):
            find_model(wrong)


def test_an_embedded_bundle_that_is_not_there() -> None:
    with pytest.raises(ModelNotFoundError, match="no embedded model 'giant'"):
        embedded_folder("giant")


def test_the_folder_is_whole_after_the_cache_is_gone(client, tmp_path) -> None:
    out = tmp_path / "copy"
    client.pull("team/reader", out=str(out))
    shutil.rmtree(client.home)
    assert (out / "model.safetensors").stat().st_size > 1000
