"""Distillation of classifiers: students of every shape, teachers' logits kept on disk."""

import numpy as np
import pytest

import labelled
import tiny
from potstill.bundle.config import read_config
from potstill.errors import DataError, ModelError, RecipeError
from potstill.records import TextExample
from potstill.runtime.classification import Classifier
from potstill.training.kept.logits import LogitCache
from potstill.training.labels.classification import ClassificationTraining
from potstill.training.recipe.file import make_recipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import weights

LABELS = ("red", "king")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny.write_model(
        tmp_path_factory.mktemp("teacher"),
        head="classification",
        labels=LABELS,
        problem="multi-label",
    )


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return labelled.write_several(tmp_path_factory.mktemp("data") / "several.csv", 60)


@pytest.fixture(autouse=True)
def _names(teacher):
    # tiny.write_model names no architecture; a manifest says the task as well.
    from potstill.bundle.manifest import Manifest, write_manifest

    write_manifest(teacher, Manifest(task="text-classification", seq_len=32))


def recipe(base, train, out, **more):
    values = {
        "task": "text-classification",
        "base": str(base),
        "train": str(train),
        "label": LABELS,
        "out": str(out),
        "cache": str(out / "cache"),
        "max_steps": 2,
        "batch_tokens": 200,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "threads": 1,
        "seq_len": 32,
        "baseline": False,
    }
    return make_recipe({**values, **more}, verb="distil")


def stages(made, **options):
    """What a run does before it trains: stage → examples that were already there."""
    found = {}
    start(
        made,
        listeners=Listeners(stage=lambda name, done, _: found.setdefault(name, done)),
        **options,
    )
    return found


def test_a_student_of_some_of_the_layers(teacher, train, tmp_path):
    start(recipe(teacher, train, tmp_path, n_layers=1))
    config = read_config(tmp_path)
    assert (config.n_layers, config.labels) == (1, LABELS)
    Classifier.from_options(tmp_path, threads=1).classify("the red king")


def test_a_fresh_student_of_another_width(teacher, train, tmp_path):
    shape = {"n_layers": 1, "hidden_width": 8, "ffn_width": 16, "n_heads": 1}
    start(recipe(teacher, train, tmp_path, fresh=True, teacher=str(teacher), **shape))
    assert read_config(tmp_path).hidden_width == 8
    with pytest.raises(RecipeError, match="only a student with fresh=true"):
        start(recipe(teacher, train, tmp_path / "b", hidden_width=8))


def test_teachers_are_asked_once(teacher, train, tmp_path):
    cache = str(tmp_path / "cache")
    (name,) = first = stages(recipe(teacher, train, tmp_path / "a", cache=cache))
    assert first[name] == 0
    again = stages(recipe(teacher, train, tmp_path / "b", cache=cache))
    assert again[name] > 0
    assert weights(tmp_path / "a").keys() == weights(tmp_path / "b").keys()
    other = stages(recipe(teacher, train, tmp_path / "c", cache=cache, teacher_seq_len=16))
    assert other[name] == 0


def test_only_what_the_run_takes_is_asked_and_may_be_asked_alone(teacher, train, tmp_path):
    counts = []
    made = recipe(teacher, train, tmp_path / "out")
    start(
        made,
        cache_only=True,
        listeners=Listeners(stage=lambda _, done, total: counts.append((done, total))),
    )
    assert counts[-1][0] == counts[-1][1] < 60
    assert not (tmp_path / "out" / "model.safetensors").exists()
    (name,) = after = stages(made)
    assert after[name] == counts[-1][1]


def test_without_weight_no_teacher_is_asked(teacher, train, tmp_path):
    assert stages(recipe(teacher, train, tmp_path, alpha_kd=0.0, teacher="nobody")) == {}


def test_an_ensemble_and_labels_in_another_order(teacher, train, tmp_path):
    turned = tiny.write_model(
        tmp_path / "turned",
        seed=1,
        head="classification",
        labels=LABELS[::-1],
        problem="multi-label",
    )
    from potstill.bundle.manifest import Manifest, write_manifest

    write_manifest(turned, Manifest(task="text-classification", seq_len=32))
    both = (str(teacher), str(turned))
    start(recipe(teacher, train, tmp_path / "out", teacher=both, teacher_weights=(3.0, 1.0)))
    assert read_config(tmp_path / "out").labels == LABELS


def test_teachers_that_do_not_fit(teacher, train, tmp_path):
    with pytest.raises(ModelError, match="is not a model of text-classification"):
        start(recipe(teacher, train, tmp_path, teacher=str(tiny.write_model(tmp_path / "qa"))))
    single = labelled.write_single(tmp_path / "single.csv", 20)
    with pytest.raises(DataError, match="row 1: label 'other' is none of red, king"):
        start(recipe(teacher, single, tmp_path / "b", label="label"))
    single.write_text("text,label\nthe king,king\nthe tower,red\n")
    with pytest.raises(RecipeError, match="trained for multi-label, the data are single-label"):
        start(recipe(teacher, single, tmp_path / "b", label="label"))
    joined = tmp_path / "joined.csv"
    joined.write_text("text,label\nthe king,a|b\na tower,b\n")
    with pytest.raises(DataError, match="row 1: label 'a' is none of red, king"):
        start(recipe(teacher, joined, tmp_path / "c", label="label", separator="|"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"alpha_ce": 0.0, "alpha_kd": 0.0}, "sum to 0"),
        ({"teacher": ()}, "teacher is empty"),
        ({"teacher": ("a", "b"), "teacher_weights": (1.0,)}, "has 1 values for 2 teachers"),
        ({"temperature": 0.0}, "temperature must be between"),
    ],
)
def test_values_that_cannot_be(teacher, train, tmp_path, keys, message):
    with pytest.raises(RecipeError, match=message):
        recipe(teacher, train, tmp_path, **keys)


class TestCache:
    """Logits of any shape by example."""

    examples = [TextExample(id=str(i), text=f"text {i}") for i in range(3)]

    def open(self, folder, notes=None, **facts):
        note = (lambda _: None) if notes is None else notes.append
        return LogitCache(folder, {"a": 1, **facts}, ClassificationTraining().texts, note)

    def test_arrays_come_back_in_their_shapes(self, tmp_path):
        said = [np.arange(3.0), np.arange(6.0).reshape(2, 3), np.ones(1)]
        cache = self.open(tmp_path)
        cache.add(self.examples, [one.astype(np.float32) for one in said])
        for again in (cache, self.open(tmp_path)):
            assert len(again) == 3
            for example, expected in zip(self.examples, said, strict=True):
                assert again[example].tolist() == expected.tolist()
        assert self.open(tmp_path).missing(self.examples) == []
        assert self.open(tmp_path, b=2).missing(self.examples) == self.examples

    def test_the_id_and_label_of_an_example_do_not_matter_its_pair_does(self, tmp_path):
        cache = self.open(tmp_path)
        cache.add(self.examples[:1], [np.ones(2, np.float32)])
        same = TextExample(id="x", text="text 0", label="y")
        paired = TextExample(id="0", text="text 0", pair="")
        assert cache.missing([same, paired, paired]) == [paired]

    def test_a_damaged_shard_is_left_out_with_a_note(self, tmp_path):
        self.open(tmp_path).add(self.examples, [np.ones(2, np.float32)] * 3)
        (file,) = tmp_path.glob("*/*.safetensors")
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        notes = []
        assert self.open(tmp_path, notes).missing(self.examples) == self.examples
        assert "checksum" in notes[0]
        assert not file.exists()
