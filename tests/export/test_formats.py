"""The table of formats, and what happens where an extra is not installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tiny
from potstill.bundle.manifest import read_manifest, write_manifest
from potstill.errors import MissingExtraError
from potstill.export import targets
from potstill.export.bundle import export_bundle
from potstill.export.formats import FORMATS, ONNX_PRECISIONS
from potstill.export.verify import TOLERANCE, check_bundle


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(targets, "_found", lambda module: False)


def test_the_names_and_the_table_agree() -> None:
    assert set(FORMATS) == {"hf", *ONNX_PRECISIONS, *targets.TARGETS}
    files = [target.file for target in targets.TARGETS.values()]
    assert len(set(files)) == len(files)
    for name, target in targets.TARGETS.items():
        assert name.startswith(target.family) and target.precision in TOLERANCE
        assert targets.RUNTIMES[target.family].extra


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_format_whose_extra_is_missing(tmp_path, nothing_installed, name) -> None:
    folder = tiny.write_model(tmp_path / "model")
    extra = targets.TARGETS[name].runtime.extra
    with pytest.raises(MissingExtraError, match=rf"format {name} needs .*potstill\[{extra}\]"):
        export_bundle(folder, tmp_path / "out", ["onnx", name])
    assert not (tmp_path / "out").exists()


def test_all_lists_what_it_leaves_out(tmp_path, nothing_installed) -> None:
    folder, said = tiny.write_model(tmp_path / "model"), []
    manifest = export_bundle(folder, tmp_path / "out", ["all"], say=said.append)
    assert "onnx/model_quantized.onnx" in manifest.files
    left = [line for line in said if line.startswith("left out: ")]
    named = {name for line in left for name in line[10:].partition(" (")[0].split(", ")}
    assert named == set(targets.TARGETS)
    assert any(line.endswith("(pip install 'potstill[tf]')") for line in left)


def test_a_file_that_cannot_be_run_here_is_said_to_be_unrun(tmp_path, nothing_installed) -> None:
    out = tmp_path / "out"
    export_bundle(tiny.write_model(tmp_path / "model"), out, ["onnx"])
    manifest = read_manifest(out)
    record = manifest.files["onnx/model.onnx"]
    for kind, said in (
        ("litert-int8", "not replayed: pip install 'potstill[tf]'"),
        ("coreml-fp16", "not run: that takes a Mac"),
    ):
        files = {"onnx/model.onnx": replace(record, kind=kind)}
        write_manifest(out, replace(manifest, files=files))
        (line,) = check_bundle(out)
        assert line.endswith(said)


def test_libraries_that_are_broken_say_so(monkeypatch) -> None:
    from potstill.export import source

    def lacking(name: str) -> None:
        raise ModuleNotFoundError("No module named 'absl'", name="absl")

    monkeypatch.setattr(source.importlib, "import_module", lacking)
    with pytest.raises(MissingExtraError, match=r"needs tensorflow-cpu \(which lacks absl\): pip"):
        source.library("tensorflow", "tf", "this format")
