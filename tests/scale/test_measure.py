"""A real server of a tiny model, timed."""

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.errors import InputError, MissingExtraError, ModelError
from potstill.scale import measure
from potstill.scale.measure import profile_of
from potstill.scale.plan import Load, plan
from potstill.scale.sampling import Setup, Texts
from potstill.text.tokenizer import Tokenizer

pytest.importorskip("fastapi", reason="needs the server: pip install 'potstill[serve]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("reader"))


def test_a_machine_is_measured_once(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path))
    setup = Setup(model=str(folder), workers=2, seconds=0.5)
    profile, is_new = profile_of(setup)
    assert is_new
    assert (profile.workers, profile.threads, profile.seq_len) == (2, 1, 128)
    assert [one.tokens for one in profile.alone] == [48, 96, 128]
    assert [one.tokens for one in profile.together] == [48, 96, 128]
    assert profile.evidence["requests"] >= 6 * 8
    assert profile.machine["cores"] >= 1
    assert 0 < profile.http_s < 1
    assert str(folder.parent) not in next(tmp_path.glob("profiles/*")).read_text()
    monkeypatch.setattr(measure, "measure", None)
    assert profile_of(setup) == (profile, False)
    load = Load(questions_per_day=1000, context_tokens=60, p99_ms=10_000)
    assert plan(profile, load).machines == 1


def test_as_typed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path))
    saved = tmp_path / "p.json"
    common = ["plan", "--questions-per-day", "1000", "--context-tokens", "60", "--p99-ms", "9999"]
    own = ["--model", str(folder), "--workers", "1", "--seconds", "0.2"]
    found = CliRunner().invoke(main, [*common, *own, "--save-profile", str(saved)])
    assert found.exit_code == 0, found.output
    assert "measured now" in found.stderr
    assert "machines" in found.stdout
    assert saved.is_file()
    found = CliRunner().invoke(main, [*common, "--profile", str(saved), "--workers", "2"])
    assert found.exit_code == 2


def test_texts_have_the_tokens_they_are_said_to_have(folder):
    tokenizer = Tokenizer.from_folder(folder)
    texts = Texts(tokenizer)
    items = [texts.item(n) for n in (48, 100, 128)]
    for n, item in zip((48, 100, 128), items, strict=True):
        parts = tokenizer.encode_batch([item["question"], item["context"]])
        assert sum(map(len, parts)) + texts.n_special == n
    assert texts.item(48) != items[0]


def test_what_cannot_be_measured(folder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="seconds"):
        Setup(seconds=0)
    labels = tiny.write_model(tmp_path / "c", head="classification", labels=("a", "b"))
    with pytest.raises(ModelError, match="counts questions"):
        profile_of(Setup(model=str(labels)))
    broken = tiny.write_model(tmp_path / "broken")
    (broken / "onnx").mkdir()
    (broken / "onnx" / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="damaged"):
        profile_of(Setup(model=str(broken), seconds=0.2))
    monkeypatch.setattr(measure, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"potstill\[serve\]"):
        measure.measure(Setup(model=str(folder)))
