import threading
from dataclasses import replace

import numpy as np
import pytest

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.runtime.classification import Classifier, ClassifyOptions
from potstill.runtime.texts import make_rows
from potstill.text.tokenizer import Tokenizer

LABELS = ("red", "blue", "green")
TEXTS = [text for text, *_ in tiny.SENTENCES]


def write(folder, model_type="bert", problem="single-label", labels=LABELS, **calibration):
    tiny.write_model(folder, model_type, head="classification", labels=labels, problem=problem)
    write_manifest(
        folder, Manifest(task="text-classification", seq_len=32, calibration=calibration)
    )
    return folder


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return Classifier.from_options(write(tmp_path_factory.mktemp("single")), threads=1)


def test_probabilities_of_every_label_best_first(single):
    found = single.classify(TEXTS[0])
    assert sorted(label.label for label in found.labels) == sorted(LABELS)
    scores = [label.score for label in found.labels]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert found.chosen == (found.labels[0].label,)
    assert not found.truncated


@pytest.mark.parametrize("model_type", ["distilbert", "roberta", "electra", "mpnet"])
def test_other_encoders(tmp_path, model_type):
    classifier = Classifier.from_options(write(tmp_path, model_type), threads=1)
    alone = classifier.logits_many([(TEXTS[0], TEXTS[1])])
    assert alone.shape == (1, 3)
    assert not np.allclose(alone, classifier.logits_many([TEXTS[0]]))


def test_company_makes_no_difference(single):
    asked = [*TEXTS, "Paris", (TEXTS[0], TEXTS[1])] * 20
    together = single.logits_many(asked, workers=3)
    for text, logits in zip(asked[:6], together, strict=False):
        assert single.logits_many([text])[0] == pytest.approx(logits, abs=1e-5)
    assert together[:6] == pytest.approx(together[-6:], abs=1e-5)


def test_threads_share_one_classifier(single):
    expected = [single.classify(text).labels[0].label for text in TEXTS]
    wrong = []

    def ask():
        for _ in range(10):
            found = [single.classify(text).labels[0].label for text in TEXTS]
            wrong.extend(a for a, b in zip(found, expected, strict=True) if a != b)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_thresholds_and_temperatures_of_the_bundle_are_used(tmp_path):
    plain = Classifier.from_options(write(tmp_path / "a", problem="multi-label"), threads=1)
    (said,) = plain.read_many([TEXTS[1]])
    shares = dict(zip(LABELS, 1 / (1 + np.exp(-said.logits)), strict=True))
    assert {x.label: x.score for x in plain.judge(said).labels} == pytest.approx(shares, abs=1e-6)
    assert set(plain.judge(said).chosen) == {k for k, v in shares.items() if v > 0.5}
    heat = {"red": 2.0, "blue": 1.0, "green": 1.0}
    cuts = {label: 0.999999 for label in LABELS} | {"red": 1e-6}
    tuned = Classifier.from_options(
        write(tmp_path / "b", problem="multi-label", temperatures=heat, thresholds=cuts), threads=1
    )
    found = tuned.classify(TEXTS[1])
    assert found.chosen == ("red",)
    scores = {label.label: label.score for label in found.labels}
    assert scores["red"] == pytest.approx(1 / (1 + np.exp(-said.logits[0] / 2)), abs=1e-5)
    everything = Classifier.from_options(tmp_path / "b", threads=1, threshold=0.0)
    assert len(everything.classify(TEXTS[1]).chosen) == 3


def test_a_single_temperature_flattens_probabilities(tmp_path, single):
    warm = Classifier.from_options(write(tmp_path, temperature=5.0), threads=1)
    before, after = single.classify(TEXTS[0]), warm.classify(TEXTS[0])
    assert before.labels[0].label == after.labels[0].label
    assert after.labels[0].score < before.labels[0].score


def test_a_regression_gives_the_value(tmp_path):
    folder = write(tmp_path, problem="regression", labels=("score",))
    classifier = Classifier.from_options(folder, threads=1)
    (label,) = classifier.classify(TEXTS[0], TEXTS[1]).labels
    assert (label.label, label.chosen) == ("score", True)
    assert label.score == pytest.approx(
        float(classifier.logits_many([(TEXTS[0], TEXTS[1])])[0, 0]), abs=1e-6
    )


def test_a_folder_of_hugging_faces_without_names_or_problem(tmp_path):
    tiny.write_model(tmp_path, head="classification")
    config = (tmp_path / "config.json").read_text()
    architecture = '{"architectures": ["BertForSequenceClassification"],'
    (tmp_path / "config.json").write_text(architecture + config.lstrip()[1:])
    found = Classifier.from_options(tmp_path, threads=1).classify(TEXTS[0])
    assert sorted(label.label for label in found.labels) == ["LABEL_0", "LABEL_1"]


def test_long_texts_lose_their_end_and_say_so(single):
    long = "the king built a tower " * 50_000  # more than a megabyte
    found = single.classify(long)
    assert found.truncated
    assert found.labels == single.classify("the king built a tower " * 40).labels


def test_only_the_beginning_of_a_long_text_is_tokenized_and_it_is_enough(tmp_path):
    tiny.write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path)
    spaced, unbroken = "a" + " " * 900 + "king tower", "king" * 400 + " x"
    for text in ("the king " * 500, spaced, "k" * 5000, unbroken):
        for seq_len in (8, 16, 40):
            (row,), (cut,) = make_rows(tokenizer, [text], seq_len)
            whole = tokenizer.encode(text).ids
            assert row.ids[1:-1].tolist() == whole[: seq_len - 2].tolist()
            assert cut == (len(whole) > seq_len - 2)


def test_a_long_text_is_read_to_its_end_and_averaged(single):
    words = ["the", "king", "built", "a", "tower"] * 10 + ["who", "lost", "the", "red", "book"] * 4
    long, n, room = " ".join(words), len(words), 30
    assert len(single.tokenizer.encode(long)) == n  # a token each
    for most, starts in {2: [0, n - room], 0: [0, (n - room) // 2, n - room]}.items():
        reader = single.using(options=replace(single.options, max_windows=most))
        own = single.logits_many([" ".join(words[at : at + room]) for at in starts])
        (said,) = reader.read_many([long])
        assert said.logits == pytest.approx(own.mean(axis=0), abs=1e-5)
        assert said.truncated == (most == 2)
        assert reader.logits_many([long, "who lost?"])[0] == pytest.approx(said.logits, abs=1e-5)
        assert reader.logits_many(["who lost?"]) == pytest.approx(single.logits_many(["who lost?"]))
        assert len(reader.plan(long).rows) == len(starts)


def test_windows_are_those_of_the_bundle_unless_said(tmp_path):
    tiny.write_model(tmp_path, head="classification", labels=LABELS, problem="single-label")
    write_manifest(tmp_path, Manifest(task="text-classification", seq_len=32, max_windows=0))
    long = "the king built a tower " * 40
    assert not Classifier.from_options(tmp_path, threads=1).classify(long).truncated
    assert Classifier.from_options(tmp_path, threads=1, max_windows=1).classify(long).truncated
    write_manifest(tmp_path, Manifest(task="text-classification", seq_len=32, max_windows=-1))
    with pytest.raises(ModelError, match="max_windows must be an integer of 0 or more, not -1"):
        Classifier.from_options(tmp_path)


@pytest.mark.parametrize("text", ["", "  \n", ("a", ""), (" ", "a")])
def test_empty_texts_are_refused(single, text):
    with pytest.raises(EmptyInputError, match="is empty"):
        single.classify_many([text])


@pytest.mark.parametrize("text", [None, 3, ("a",), ("a", "b", "c"), ("a", 1)])
def test_what_is_no_text_is_refused(single, text):
    with pytest.raises(InputError, match="give|not a string"):
        single.classify_many([text])


def test_no_texts_are_no_answers(single):
    assert single.classify_many([]) == []
    assert single.logits_many([]).shape == (0, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"seq_len": 4},
        {"token_budget": -1},
        {"max_windows": -1},
        {"temperatures": (1.0, 0.0, 1.0)},
        {"temperatures": (1.0, 1.0)},
        {"thresholds": (0.5, 0.5, 1.5)},
    ],
)
def test_options_out_of_range(single, options):
    with pytest.raises(InputError):
        Classifier(single.tokenizer, single.session, ClassifyOptions(labels=LABELS, **options))
