"""Threshold and temperature of a model, from questions that were held out."""

import pytest

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.data.qa import load_qa
from potstill.errors import InputError
from potstill.evaluation.confidence import confidences
from potstill.evaluation.readings import collect, score_predictions
from potstill.runtime.qa import QAClient
from potstill.training.qa.calibrate import calibrate, with_negatives


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    path = tiny.write_squad(tmp_path_factory.mktemp("data") / "train.json", copies=10)
    return load_qa(path).examples


def test_what_is_fitted_is_what_a_bundle_then_does(folder, examples, tmp_path):
    asked = with_negatives(examples, seed=0)
    assert sum(e.is_impossible for e in asked) == sum(not e.is_impossible for e in asked) == 40
    found = calibrate(QAClient.from_options(folder), asked, no_answer=True)
    assert (found.n_questions, found.n_unanswerable) == (80, 40)
    model = tiny.write_model(tmp_path)
    assert found.null_threshold is not None
    write_manifest(
        model,
        Manifest(
            no_answer=True,
            null_threshold=found.null_threshold,
            calibration=found.to_manifest(),
        ),
    )
    client = QAClient.from_options(model)
    readings = list(client.read_many((e.question, e.context) for e in asked))
    threshold = client.options.threshold
    scores = score_predictions(
        asked, collect(asked, readings), rules_v2=True, null_threshold=threshold
    )
    assert scores["f1"] == pytest.approx(found.f1)
    assert scores["best_f1"] == pytest.approx(found.f1)
    assert found.f1 >= found.f1_before
    ece = confidences(asked, readings, rules_v2=True).ece
    assert ece == pytest.approx(found.ece_after, abs=1e-6)


def test_each_question_is_run_once(folder, examples):
    client = QAClient.from_options(folder)
    rows = []
    run = client.session.run
    client.session.run = lambda batch: rows.append(len(batch.input_ids)) or run(batch)
    found = calibrate(client, examples, no_answer=False)
    assert sum(rows) == len(examples)
    assert found.null_threshold is None
    assert found.n_unanswerable == 0


def test_it_does_not_depend_on_what_the_client_was_set_to(folder, examples):
    one = QAClient.from_options(folder)
    other = QAClient.from_options(folder, null_threshold=3, temperature=7, no_answer=True)
    for no_answer in (False, True):
        asked = with_negatives(examples, seed=1) if no_answer else examples
        assert calibrate(one, asked, no_answer=no_answer) == calibrate(
            other, asked, no_answer=no_answer, workers=2
        )


def test_unanswerable_questions_of_the_data_are_negatives_enough(examples):
    given = [*examples[:3], *with_negatives(examples, seed=0)[-2:]]
    assert with_negatives(given, seed=0) == given


def test_what_cannot_be_calibrated(folder, examples):
    client = QAClient.from_options(folder)
    with pytest.raises(InputError, match="hold some out"):
        calibrate(client, [], no_answer=False)
    with pytest.raises(InputError, match="of both kinds"):
        calibrate(client, examples, no_answer=True)
    with pytest.raises(InputError, match="more paragraphs an article"):
        with_negatives(examples[:1], seed=0)
