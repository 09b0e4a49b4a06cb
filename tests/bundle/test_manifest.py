from __future__ import annotations

import json

import pytest

from potstill.bundle.manifest import Manifest, read_manifest, record_file, write_manifest
from potstill.errors import ModelError


def test_round_trip(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    record = record_file(tmp_path / "a", kind="onnx-int8", max_abs_diff=0.25, info={"n": [1.5]})
    assert record.size == 3
    assert record.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    manifest = Manifest(
        no_answer=True,
        null_threshold=-1.5,
        files={"a": record},
        scores={"f1": 84.5},
        calibration={"temperature": 1.25, "n_questions": 7},
        name="é",
    )
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_folder_without_one(tmp_path) -> None:
    assert read_manifest(tmp_path) is None


def test_unknown_keys_are_ignored(tmp_path) -> None:
    write_manifest(tmp_path, Manifest())
    values = json.loads((tmp_path / "potstill.json").read_text())
    values["later"] = 1
    values["files"] = {"x": {"sha256": "", "size": 0, "later": 2}}
    (tmp_path / "potstill.json").write_text(json.dumps(values))
    found = read_manifest(tmp_path)
    assert found is not None and found.files["x"].size == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[]", "list"),
        ("{}", "format_version None"),
        ('{"format_version": 99}', "upgrade"),
        ('{"format_version": 1, "seq_len": "x"}', "seq_len"),
        ('{"format_version": 1, "stride": 0}', "stride"),
        ('{"format_version": 1, "no_answer": 1}', "no_answer"),
        ('{"format_version": 1, "tidy_questions": "yes"}', "tidy_questions must be true or false"),
        ('{"format_version": 1, "null_threshold": "x"}', "null_threshold"),
        ('{"format_version": 1, "calibration": []}', "calibration"),
        ('{"format_version": 1, "calibration": {"temperature": "x"}}', "temperature"),
        ('{"format_version": 1, "calibration": {"temperature": 0}}', "temperature"),
        ('{"format_version": 1, "calibration": {"temperature": NaN}}', "temperature"),
        ('{"format_version": 1, "calibration": {"thresholds": [0.5]}}', "thresholds must map"),
        ('{"format_version": 1, "calibration": {"thresholds": {"a": 2}}}', "thresholds of 'a'"),
        ('{"format_version": 1, "calibration": {"temperatures": {"a": 0}}}', "temperatures of"),
        ('{"format_version": 1, "calibration": {"temperatures": {"a": "x"}}}', "temperatures of"),
        ('{"format_version": 1, "files": {"a": {}}}', "is not a manifest"),
        ('{"format_version": 1, "files": {"a": 3}}', "is not a manifest"),
        ('{"format_version": 1, "files": []}', "is not a manifest"),
    ],
)
def test_a_damaged_manifest_is_a_typed_error(tmp_path, text, message) -> None:
    (tmp_path / "potstill.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        read_manifest(tmp_path)
