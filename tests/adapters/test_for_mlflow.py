"""Saved, loaded, asked and logged by the real mlflow."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mlflow warns about its own types when it is imported
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas, which mlflow's models need, is missing")
    from potstill.adapters import for_mlflow as adapter

from potstill.errors import MissingKeyError, ModelNotFoundError
from potstill.runtime.qa import QAClient

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
    assert mlflow.pyfunc.load_model(info.model_uri).predict(ROWS[:1]) == ["The Denver Broncos"]


def test_what_cannot_be_answered(tmp_path) -> None:
    with pytest.raises(ModelNotFoundError):
        adapter.save_model(tmp_path / "saved", "/no/such/model")
    with pytest.raises(MissingKeyError, match="a row has no 'context': it has question"):
        adapter.Reader(QAClient.from_options()).predict({"question": "Who won?"})
