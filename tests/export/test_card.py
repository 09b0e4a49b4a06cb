"""What the hub reads of a card: parsed by huggingface_hub itself."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import EvalResult

import tiny
from potstill.bundle.atomic import write_text
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import FileRecord, Manifest, read_manifest, write_manifest
from potstill.export.bundle import export_bundle
from potstill.export.card import MARK, model_card
from potstill.export.card_data import data_set, origin_of
from potstill.training.recipe.qa import Recipe
from potstill.training.start import start

QA = Manifest(
    name="mine",
    data={"train": "train-v1.1.json", "examples": 87599},
    recipe={"train": "train-v1.1.json", "dev": "dev-v1.1.json", "base": "owner/base"},
    origin={
        "base_model": "owner/base",
        "licence": "Apache-2.0",
        "language": "en",
        "datasets": ["rajpurkar/squad"],
    },
    scores={"exact": 73.0, "f1": 82.5678, "total": 10570},
)


def parsed(manifest: Manifest, head: str = "qa", **options) -> ModelCard:
    card = ModelCard(model_card(manifest.name or "mine", tiny.config(**options), manifest, head))
    assert card.data.to_dict() == ModelCard(str(card)).data.to_dict()
    return card


def test_the_hub_reads_every_field() -> None:
    data = parsed(QA).data
    assert (data.license, data.language, data.base_model) == ("apache-2.0", "en", "owner/base")
    assert (data.datasets, data.pipeline_tag) == (["rajpurkar/squad"], "question-answering")
    assert data.library_name == "transformers" and "potstill" in data.tags
    how = {"examples": 10570, "seq_len": 384, "stride": 128, "max_answer_tokens": 30}
    exact, f1 = data.eval_results
    assert exact == EvalResult(
        task_type="question-answering",
        dataset_type="rajpurkar/squad",
        dataset_name="dev-v1.1.json",
        dataset_split="validation",
        metric_type="exact_match",
        metric_name="exact match of the trained weights",
        metric_value=73.0,
        metric_args=how,
    )
    assert (f1.metric_type, f1.metric_value) == ("f1", 82.5678)


def test_each_exported_file_has_its_own_results() -> None:
    scores = {"f1": 82.1, "exact": 72.9, "total": 100, "data": "dev.json"}
    record = FileRecord(sha256="0", size=23_500_000, kind="onnx-int8", info={"scores": scores})
    manifest = Manifest(name="mine", files={"onnx/model_quantized.onnx": record})
    card = parsed(manifest)
    found = {(r.metric_name, r.metric_value, r.dataset_name) for r in card.data.eval_results}
    assert found == {
        ("F1 of onnx/model_quantized.onnx", 82.1, "dev.json"),
        ("exact match of onnx/model_quantized.onnx", 72.9, "dev.json"),
    }
    assert "| `onnx/model_quantized.onnx` | 23.5 |  | 72.9 | 82.1 |" in card.text


def test_without_scores_there_is_no_model_index() -> None:
    for head in (name for name, head in HEADS.items() if head.task):
        data = parsed(Manifest(name="mine", task=HEADS[head].task), head, labels=("no", "yes")).data
        assert "model-index" not in data.to_dict() and data.eval_results is None


def test_what_was_kept_out_of_training_is_said() -> None:
    recipe = {"train": "train-v1.1.json", "holdout": 0.1}
    data = parsed(Manifest(name="mine", recipe=recipe, scores={"f1": 80.0})).data
    assert data.eval_results[0].dataset_name == "train-v1.1.json, 10% kept out of training"
    assert data.eval_results[0].dataset_type == "rajpurkar/squad"


def test_names_that_yaml_would_read_otherwise() -> None:
    name = "no: [1] # 'x'"
    data = parsed(Manifest(name=name, scores={"f1": 1.0}, data={"train": "on: yes.csv"})).data
    assert data.model_name == name and data.eval_results[0].dataset_name == "on: yes.csv"


@pytest.mark.parametrize(
    ("file", "format", "hub", "config"),
    [
        ("train-v2.0.json.xz", "", "rajpurkar/squad_v2", ""),
        ("train.tsv", "SST-2", "nyu-mll/glue", "sst2"),
        ("mine.csv", "table", "", ""),
    ],
)
def test_published_sets_are_known(file, format, hub, config) -> None:
    known = data_set(file, format)
    assert (known.hub, known.config) == (hub, config)


def test_a_base_hands_down_what_it_is_made_of(tmp_path) -> None:
    """A folder's own base stays the base; a hub id is one itself."""
    front = "---\nbase_model: team/first\nlicense: mit\nlanguage: [en]\ndatasets: [team/a]\n---\n"
    write_text(tmp_path / "README.md", front)
    recipe = {"train": "train-v1.1.json"}
    known = {"licence": "mit", "language": ["en"]}
    assert origin_of(str(tmp_path), tmp_path, recipe) == {
        **known, "base_model": "team/first", "datasets": ["team/a", "rajpurkar/squad"],
    }  # fmt: skip
    assert origin_of("team/second", tmp_path, recipe) == {
        **known, "base_model": "team/second", "datasets": ["rajpurkar/squad"],
    }  # fmt: skip
    fresh = origin_of("team/second", tmp_path, {**recipe, "fresh": True})
    assert fresh == {"language": ["en"], "datasets": ["rajpurkar/squad"]}
    kept = {**recipe, "fresh": True, "embeddings": "base"}
    assert origin_of("team/second", tmp_path, kept)["base_model"] == "team/second"
    write_text(tmp_path / "README.md", "---\nbase_model: [\n---\n")
    assert origin_of(str(tmp_path), tmp_path, {}) == {}


def test_training_writes_a_card_and_export_writes_it_anew(tmp_path) -> None:
    base = tiny.write_model(tmp_path / "base", head=None)
    write_text(base / "README.md", "---\nbase_model: team/first\nlicense: mit\n---\n# Theirs\n")
    train = tiny.write_squad(tmp_path / "train-v1.1.json")
    run, out = tmp_path / "run", tmp_path / "out"
    recipe = Recipe(
        base=str(base), train=str(train), dev=str(train), out=str(run), max_steps=1,
        seq_len=128, stride=32, threads=1,
    )  # fmt: skip
    scores = start(recipe)
    card = ModelCard.load(run / "README.md")
    assert MARK in card.text
    assert (card.data.base_model, card.data.license) == ("team/first", "mit")
    values = {r.metric_type: r.metric_value for r in card.data.eval_results}
    assert values["f1"] == pytest.approx(scores["f1"], abs=1e-4)
    export_bundle(run, out, ["hf", "int8"])
    card = ModelCard.load(out / "README.md")
    assert "| `onnx/model_quantized.onnx` |" in card.text and card.data.base_model == "team/first"
    manifest = read_manifest(out)
    assert manifest and "README.md" in manifest.files
    own = card.content.replace(MARK, "")
    write_text(run / "README.md", own)
    write_manifest(out, manifest)
    export_bundle(run, out, ["hf"])
    assert (out / "README.md").read_text(encoding="utf-8") == own


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (1, "is read from its start only, of at most 256 tokens."),
        (3, "is read in 3 rows from its start to its end, of at most 256 tokens each."),
        (0, "is read whole, 256 tokens at a time."),
    ],
)
def test_how_much_of_a_long_text_is_read_is_said(windows, said) -> None:
    manifest = Manifest(task="text-classification", seq_len=256, max_windows=windows)
    assert said in str(parsed(manifest, "classification", labels=("one", "two")))
