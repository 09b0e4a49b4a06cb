"""What a predictor says of rows, for models of every task."""

import pytest

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import InputError
from potstill.runtime.classification import Classifier
from potstill.runtime.tagging import Tagger
from potstill.scale.predict import PredictOptions, Predictor, model_fingerprint

TEXTS = [("the king won.",), ("paris is a large city of the river.",), ("who lost?",)]


def test_a_reader_says_what_it_found(tmp_path):
    predictor = Predictor(PredictOptions(model=str(tiny.write_model(tmp_path))))
    batch = [(question, text) for text, question, _ in tiny.SENTENCES]
    for (_, context), said in zip(batch, predictor(batch), strict=True):
        assert said.values.keys() == predictor.columns.keys()
        assert context[said.values["start"] : said.values["end"]] == said.values["answer"]


def test_a_reader_may_say_that_there_is_no_answer(tmp_path):
    folder = tiny.write_model(tmp_path)
    write_manifest(folder, Manifest(no_answer=True, null_threshold=-1e6))
    batch = [(question, text) for text, question, _ in tiny.SENTENCES]
    for said in Predictor(PredictOptions(model=str(folder)))(batch):
        assert said.values["answer"] is said.values["start"] is said.values["end"] is None
        assert said.values["score"] == pytest.approx(
            1
        )  # by so low a threshold nothing else is likely


def test_a_row_that_cannot_be_read_changes_no_other(tmp_path):
    predictor = Predictor(PredictOptions(model=str(tiny.write_model(tmp_path))))
    good = [(question, text) for text, question, _ in tiny.SENTENCES]
    found = predictor([good[0], ("who " * 200, "the king"), *good[1:], ("who?", "\u200b")])
    assert [said.values is None for said in found] == [False, True, *[False] * 3, True]
    assert "200 tokens" in found[1].reason
    answers = [said.values["answer"] for said in found if said.values]
    assert answers == [said.values["answer"] for said in predictor(good)]


@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
def test_a_classifier_says_its_labels(tmp_path, problem):
    labels = ("score",) if problem == "regression" else ("a", "b", "c")
    folder = tiny.write_model(tmp_path, head="classification", labels=labels, problem=problem)
    predictor = Predictor(PredictOptions(model=str(folder), threshold=0.4, prefix="p_"))
    expected = Classifier.from_options(folder, threshold=0.4).classify_many([t for (t,) in TEXTS])
    for said, one in zip(predictor(TEXTS), expected, strict=True):
        assert said.values.keys() == predictor.columns.keys()
        assert said.values["p_truncated"] is False
        if problem == "multi-label":
            assert tuple(said.values["p_labels"]) == one.chosen
        else:
            assert said.values["p_label"] == one.chosen[0]
            assert said.values["p_score"] == pytest.approx(one.labels[0].score, abs=1e-5)


def test_a_classifier_reads_long_texts_as_it_is_told(tmp_path):
    folder = tiny.write_model(tmp_path / "a", head="classification", labels=("a", "b"))
    long = [("the king won. " * 100,)]
    cut, whole = (
        Predictor(PredictOptions(model=str(folder), max_windows=n))(long)[0].values for n in (1, 0)
    )
    assert (cut["truncated"], whole["truncated"]) == (True, False)
    assert cut["score"] != whole["score"]
    reader = tiny.write_model(tmp_path / "b")
    with pytest.raises(InputError, match="which has no max_windows: omit it"):
        Predictor(PredictOptions(model=str(reader), max_windows=2))


def test_a_classifier_of_pairs_reads_both_texts(tmp_path):
    folder = tiny.write_model(tmp_path, head="classification", labels=("a", "b"))
    predictor = Predictor(PredictOptions(model=str(folder)))
    alone, pair = predictor([("the king won.",)]), predictor([("the king won.", "he lost")])
    assert alone[0].values["score"] != pair[0].values["score"]


def test_a_tagger_says_its_entities(tmp_path):
    folder = tiny.write_model(tmp_path, head="tagging", labels=("O", "B-X", "I-X"))
    found = Predictor(PredictOptions(model=str(folder)))(TEXTS)
    tagger = Tagger.from_options(folder)
    for (text,), said in zip(TEXTS, found, strict=True):
        assert [(e["start"], e["end"]) for e in said.values["entities"]] == [
            (e.start, e.end) for e in tagger.tag(text)
        ]


def test_other_models_are_refused_by_name(tmp_path):
    folder = tiny.write_model(tmp_path, head="choice")
    with pytest.raises(InputError, match="is a model for multiple-choice, which bulk"):
        Predictor(PredictOptions(model=str(folder)))


def test_the_fingerprint_is_that_of_the_files(tmp_path):
    a, b, c = (tiny.write_model(tmp_path / n, seed=n == "c") for n in "abc")
    prints = [model_fingerprint(PredictOptions(model=str(folder))) for folder in (a, b, c)]
    assert prints[0] == prints[1] != prints[2]
    (b / "vocab.txt").write_text((b / "vocab.txt").read_text().replace("king\n", "kong\n"))
    assert model_fingerprint(PredictOptions(model=str(b))) != prints[1]
