"""Saved, loaded, asked and logged by the real mlflow."""

from __future__ import annotations

import json
import warnings
from importlib.metadata import distribution, version

import pytest
from packaging.requirements import Requirement

import tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mlflow warns about its own types when it is imported
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas, which mlflow's models need, is missing")
    from potstill.adapters import for_mlflow as adapter

from potstill.bundle.find import find_model
from potstill.errors import InputError, MissingKeyError, ModelNotFoundError
from potstill.runtime.classification import Classifier
from potstill.runtime.qa import QAClient
from potstill.runtime.tagging import Tagger

# mlflow's own use of other libraries is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = [
    {"question": "Who won?", "context": "The Denver Broncos won."},
    {"question": "What is made of copper?", "context": "Pot stills are made of copper."},
]


def test_a_saved_reader_answers_what_the_client_does(tmp_path) -> None:
    adapter.save_model(tmp_path / "saved")
    model = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    client = QAClient.from_options()
    expected = [client.predict(row["question"], row["context"]).text for row in ROWS]
    assert model.predict(ROWS) == model.predict(pandas.DataFrame(ROWS)) == expected
    assert model.predict(ROWS[0]) == expected[:1]
    assert not list((tmp_path / "saved").rglob("*.pkl"))
    assert [column.name for column in model.metadata.get_input_schema()] == ["question", "context"]


def test_a_reader_is_logged_in_a_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no other
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run():
        info = adapter.log_model()
    assert mlflow.pyfunc.load_model(info.model_uri).predict(ROWS[:1]) == [
        QAClient.from_options().predict(ROWS[0]["question"], ROWS[0]["context"]).text
    ]


def test_what_cannot_be_answered(tmp_path) -> None:
    with pytest.raises(ModelNotFoundError):
        adapter.save_model(tmp_path / "saved", "/no/such/model")
    model = adapter._load_pyfunc(str(find_model("default")))
    with pytest.raises(MissingKeyError, match="a row has no 'context': it has question"):
        model.predict({"question": "Who won?"})
    with pytest.raises(InputError, match="a row is str: give question and context by name"):
        model.predict(["Who won?"])
    choice = tiny.write_model(tmp_path / "choice", head="choice")
    with pytest.raises(InputError, match="mlflow is given those for question-answering"):
        adapter.save_model(tmp_path / "saved", choice)


TEXTS = ["Denver won the game.", "Carolina lost."]


def test_a_saved_classifier_gives_labels(tmp_path) -> None:
    folder = tiny.write_model(
        tmp_path / "classifier", head="classification", labels=("bad", "good", "other")
    )
    adapter.save_model(tmp_path / "saved", folder)
    model = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    client = Classifier.from_options(folder)
    expected = [client.classify(text).labels[0] for text in TEXTS]
    found = model.predict(pandas.DataFrame({"text": TEXTS}))
    assert found["label"].tolist() == [one.label for one in expected]
    assert found["score"].tolist() == pytest.approx([one.score for one in expected])
    assert model.predict([{"text": text} for text in TEXTS]).equals(found)
    paired = model.predict([{"text": TEXTS[0], "pair": TEXTS[1]}])
    assert paired["score"][0] == pytest.approx(client.classify(*TEXTS).labels[0].score)
    assert not list((tmp_path / "saved").rglob("*.pkl"))
    schema = model.metadata.signature
    assert [(one.name, one.required) for one in schema.inputs] == [("text", True), ("pair", False)]
    assert [one.name for one in schema.outputs] == found.columns.tolist()


def test_a_saved_tagger_gives_entities(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "tagger", head="tagging", labels=("O", "B-X", "I-X"))
    adapter.save_model(tmp_path / "saved", folder)
    found = mlflow.pyfunc.load_model(str(tmp_path / "saved")).predict([{"text": TEXTS[0]}])
    client = Tagger.from_options(folder)
    assert found["entities"].tolist() == [[one.to_dict() for one in client.tag(TEXTS[0])]]


def needed(saved):
    lines = (saved / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line]


def test_requirements_are_what_is_needed_and_what_was_asked_for(tmp_path) -> None:
    adapter.save_model(tmp_path / "plain")
    ours = next(one for one in needed(tmp_path / "plain") if one.name == "potstill")
    assert ours.url or str(ours.specifier) == f"=={version('potstill')}"
    assert {"pandas"} < {one.name for one in needed(tmp_path / "plain")}
    if ours.url:  # from where this very Potstill came, which no index has
        assert ours.url == json.loads(distribution("potstill").read_text("direct_url.json"))["url"]
    adapter.save_model(tmp_path / "given", pip_requirements=["potstill[train]==0.2.0", "rich"])
    assert [str(one) for one in needed(tmp_path / "given") if one.name != "mlflow"][-2:] == [
        "potstill[train]==0.2.0", "rich",
    ]  # fmt: skip
    adapter.save_model(tmp_path / "more", extra_pip_requirements=["rich"])
    assert {"potstill", "pandas", "rich"} < {one.name for one in needed(tmp_path / "more")}
