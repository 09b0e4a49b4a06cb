"""Distilling into a pruned student: from the recipe's table to the exported files."""

import json

import numpy as np
import pytest
import torch

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.data.qa import load_qa
from potstill.errors import RecipeError
from potstill.export.bundle import export_bundle
from potstill.models.qa import QuestionAnsweringModel
from potstill.runtime.qa import QAClient
from potstill.text.tokenizer import Tokenizer
from potstill.training.qa import rows as qa_rows
from potstill.training.qa.importance import importance
from potstill.training.qa.pruning import gold_loss
from potstill.training.recipe.file import make_recipe, read_recipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("teacher"), n_layers=3, n_heads=4)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return tiny.write_squad(tmp_path_factory.mktemp("data") / "train.json", copies=6)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def recipe(teacher, train, cache):
    def make(out, **more):
        values = {
            "base": str(teacher), "teacher": str(teacher), "train": str(train), "out": str(out),
            "cache": str(cache), "epochs": 1.0, "batch_tokens": 100, "threads": 1, "seq_len": 64,
            "stride": 16, "dropout": 0.1, "learning_rate": 1e-3,
        }  # fmt: skip
        return make_recipe({**values, **more}, verb="distil")

    return make


BLOCKS = {
    "uniform": {"heads": 2, "ffn": 0.25},
    "ragged": {"heads": 2, "ffn": 8, "ragged": True},
    "magnitude": {"heads": [1, 2, 3], "ffn": 4, "criterion": "magnitude"},
    "reconstruction": {"heads": 2, "ffn": 8, "criterion": "reconstruction", "windows": 9},
    "vocabulary": {"vocabulary": "corpus"},
    "all": {"heads": 0.5, "ffn": 16, "vocabulary": 110, "windows": 5},
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_pruned_run_goes_on_bit_for_bit(recipe, tmp_path, block):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    start(recipe(whole, prune=block))
    with pytest.raises(Stopped):
        start(recipe(stopped, prune=block, save_steps=1), listeners=stop_at(3))
    start(recipe(stopped, prune=block, save_steps=1), resume=True)
    assert equal(weights(stopped), weights(whole))


def test_a_pruned_student_is_smaller_in_every_file(recipe, teacher, tmp_path):
    run, full, small = tmp_path / "run", tmp_path / "full", tmp_path / "small"
    notes = []
    block = {"heads": 2, "ffn": 8, "vocabulary": "corpus"}
    start(recipe(run, prune=block, n_layers=2), listeners=Listeners(note=notes.append))
    config = read_config(run)
    assert (config.n_layers, config.layer_heads, config.ffn_width) == (2, (2, 2), 8)
    assert config.vocab_size < read_config(teacher).vocab_size
    assert config.hidden_dropout == 0.1
    assert any(note.startswith("pruned: ") for note in notes)
    export_bundle(teacher, full, tiny.PLAIN)
    export_bundle(run, small, tiny.PLAIN)
    for name in ("model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx", "vocab.txt"):
        assert (small / name).stat().st_size < (full / name).stat().st_size, name
    text, question, _ = tiny.SENTENCES[0]
    answer = QAClient.from_options(model=str(small)).predict(question, text)
    assert answer is not None and text[answer.start : answer.end] == answer.text


def test_a_pruned_student_keeps_the_teachers_tokens(recipe, tmp_path):
    """So it can also be taught from inside."""
    inner = {"alpha_hidden": 1.0, "alpha_relation": 1.0, "relation_heads": 2}
    start(recipe(tmp_path / "run", prune={"heads": 2}, max_steps=2, **inner))
    assert read_config(tmp_path / "run").layer_heads == (2, 2, 2)
    with pytest.raises(RecipeError, match="alpha_attention needs as many heads in the student"):
        start(recipe(tmp_path / "b", prune={"heads": 2}, alpha_attention=1.0))
    with pytest.raises(RecipeError, match="cuts text into other tokens than the student"):
        start(recipe(tmp_path / "c", prune={"vocabulary": "corpus"}, **inner))


def test_importance_finds_the_parts_that_matter_when_pruning(teacher, train):
    """Against the definition: the loss of each row, with each part's gate moved by a little."""
    config = read_config(teacher)
    values = read_weights(teacher, config)
    model = QuestionAnsweringModel(config.with_dropout(0.0)).double()
    model.load_weights(values)
    model.eval()
    data = load_qa(str(train)).examples[:6]
    rows = qa_rows.make_rows(data, Tokenizer.from_folder(teacher), seq_len=64, stride=16)
    worth = importance(model.encoder, [rows.batch(range(6))], lambda batch: gold_loss(model, batch))
    assert all(parameter.requires_grad for parameter in model.parameters())

    def slopes(module, columns):
        """Change of each row's loss as the input columns of a module are scaled."""
        found, step = [], 3e-3  # the loss is float32
        for row in range(6):
            batch = rows.batch([row])
            losses = []
            for scale in (1 + step, 1 - step):
                gate = torch.ones(module.in_features, dtype=torch.float64)
                gate[columns] = scale
                handle = module.register_forward_pre_hook(lambda _, x, gate=gate: (x[0] * gate,))
                with torch.no_grad():
                    losses.append(float(gold_loss(model, batch)))
                handle.remove()
            found.append((losses[0] - losses[1]) / (2 * step))
        return np.array(found)

    for layer, head in ((0, 1), (2, 3)):
        columns = range(head * config.head_width, (head + 1) * config.head_width)
        change = slopes(model.encoder.layers[layer].attention.output, list(columns))
        assert worth.heads[layer][head] == pytest.approx(np.abs(change).sum(), rel=0.01)
    change = slopes(model.encoder.layers[1].ffn.down, [7])
    assert worth.neurons[1][7] == pytest.approx(np.square(change).sum(), rel=0.01)


def test_a_model_pruned_by_reconstruction_is_nearer_to_the_full_one(recipe, teacher, tmp_path):
    """Than the one whose parts are only cut out, on the windows it was fitted on; all of it kept,
    nothing changes."""
    rows = _windows(teacher, recipe(tmp_path).train)

    def states(name, **block):
        start(recipe(tmp_path / name, prune={"heads": 2, **block}, max_steps=1))
        return _states(tmp_path / name / "pruned", rows)

    full, gaps = _states(teacher, rows), {}
    for criterion in ("reconstruction", "importance"):
        gaps[criterion] = (states(criterion, ffn=16, criterion=criterion) - full).norm()
    unchanged = states("whole", heads=4, criterion="reconstruction")
    assert gaps["reconstruction"] < 0.7 * gaps["importance"]
    torch.testing.assert_close(unchanged, full, rtol=0, atol=1e-4)


def _windows(folder, train):
    examples = load_qa(train).examples
    return qa_rows.make_rows(examples, Tokenizer.from_folder(folder), seq_len=64, stride=16)


@torch.no_grad()
def _states(folder, rows):
    """The last states of all real tokens, ``[tokens, width]``."""
    config = read_config(folder).with_dropout(0.0)
    model = QuestionAnsweringModel(config)
    model.load_weights(read_weights(folder, config))
    batch = rows.batch(range(len(rows)))
    inputs = [batch[k] for k in ("input_ids", "attention_mask", "token_type_ids")]
    return model.eval().encoder(*inputs)[-1][batch["attention_mask"].bool()]


def test_the_prune_table_in_a_file_and_on_the_command_line(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('train="t"\nbase="b"\nout="o"\n[prune]\nheads = [1, 2]\nffn = 8\n')
    read = read_recipe(file, ["prune.ffn=0.5", "prune_vocabulary=4000"], verb="distil")
    assert (read.prune_heads, read.prune_ffn, read.piece_limit) == ((1, 2), 0.5, 4000)
    assert read_recipe(file, ["prune.vocabulary=corpus"], verb="distil").piece_limit == 0
    with pytest.raises(RecipeError, match="unknown recipe key 'prune_head'"):
        read_recipe(file, ["prune.head=2"], verb="distil")
    with pytest.raises(RecipeError, match="'prune_heads', so it is one for `potstill distil`"):
        read_recipe(file, verb="finetune")


WRONG = {
    "negative": ({"heads": -1}, "prune_heads must be 0, a share below 1"),
    "no list": ({"ffn": []}, "prune_ffn must be 0, a share below 1"),
    "words": ({"vocabulary": "many"}, "prune_vocabulary must be 'corpus' or a number"),
    "criterion": ({"criterion": "luck"}, "prune_criterion must be one of importance, magnitude"),
    "ragged": (
        {"heads": 2, "ragged": True, "criterion": "reconstruction"},
        "prune_ragged compares layers, which reconstruction does not",
    ),
    "windows": ({"heads": 2, "windows": 0}, "prune_windows must be between 1"),
    "heads": ({"heads": 9}, "prune_heads keeps 9 heads of layer 0, which has 4"),
    "pieces": ({"vocabulary": 20}, "prune_vocabulary=20 is less than"),
}


@pytest.mark.parametrize(("block", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_pruned_is_said_before_the_first_step(recipe, tmp_path, block, message):
    with pytest.raises(RecipeError, match=message):
        start(recipe(tmp_path, prune=block))
    assert not (tmp_path / "checkpoints").exists()


def test_pruning_and_a_fresh_student_exclude_each_other(recipe, tmp_path):
    with pytest.raises(RecipeError, match="fresh=true has nothing to prune"):
        recipe(tmp_path, prune={"heads": 2}, fresh=True)
    with pytest.raises(RecipeError, match="use prune_ffn and prune_heads"):
        recipe(tmp_path, prune={"heads": 2}, ffn_width=8)


def test_importance_needs_a_base_that_answers_to_be_pruned(recipe, tmp_path):
    bare = tiny.write_model(tmp_path / "bare", n_heads=4, head=False)
    with pytest.raises(RecipeError, match="answers no questions.*use prune_criterion=magnitude"):
        start(recipe(tmp_path / "a", base=str(bare), prune={"heads": 2}))
    block = {"heads": 2, "criterion": "magnitude"}
    start(recipe(tmp_path / "b", base=str(bare), prune=block, max_steps=1))
    assert read_config(tmp_path / "b").layer_heads == (2, 2)


def test_the_shipped_prune_recipe_is_read():
    read = read_recipe("squad-prune", ["train=t", "out=o"], verb="distil")
    assert read.prunes
    assert json.loads(json.dumps(read.to_dict()))["prune_heads"] == read.prune_heads
