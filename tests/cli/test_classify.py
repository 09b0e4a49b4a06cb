import json

import pytest
from click.testing import CliRunner

import labelled
import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import main

LABELS = ("red", "king")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    tiny.write_model(folder, head="classification", labels=LABELS, problem="multi-label")
    manifest = Manifest(
        task="text-classification",
        seq_len=16,
        recipe={"label": list(LABELS), "split": 0.5, "split_seed": 42},
        data={"base_rates": {"red": 0.4, "king": 0.4}},
        calibration={
            "thresholds": {"red": 0.0, "king": 1.0},
            "temperatures": {"red": 1.0, "king": 2.0},
        },
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    tiny.write_model(folder, head="classification", labels=("other", "red"), problem="single-label")
    write_manifest(folder, Manifest(task="text-classification", seq_len=16))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {
        "several": labelled.write_several(folder / "several.csv", 40),
        "single": labelled.write_single(folder / "single.csv", 40),
    }


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(a) for a in arguments], **options)


def test_one_text_as_json(several):
    result = run("classify", "the red king", "--model", several, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["chosen"] == ["red"]
    assert found["truncated"] is False
    assert {label["label"] for label in found["labels"]} == set(LABELS)
    assert all(0 <= label["score"] <= 1 for label in found["labels"])


def test_a_long_text_says_what_was_not_read_and_how_to_read_it(several):
    long = "the red king built a tower " * 30
    result = run("classify", long, "--model", several)
    assert "are longer than the 16 tokens that are read: their ends were left out" in result.stderr
    assert "--windows 0 reads all" in result.stderr
    result = run("classify", long, "--model", several, "--windows", 2)
    assert "longer than the 2 windows of 16 tokens that are read: parts were left" in result.stderr
    result = run("classify", long, "--model", several, "--windows", 0, "--json")
    assert not result.stderr
    assert json.loads(result.stdout)["truncated"] is False


def test_several_texts_for_people(several):
    result = run("classify", "the red king", "a \x1b[31mtower", "--model", several, "--top-k", 1)
    lines = result.output.splitlines()
    assert lines[0] == "the red king"
    assert lines[2] == "a  [31mtower"
    assert len(lines) == 4
    several_json = run("classify", "a", "b", "--model", several, "--json")
    assert len(json.loads(several_json.output)) == 2


def test_standard_input_pairs_and_thresholds(single, several):
    assert run("classify", "--model", single, input="the king").exit_code == 0
    assert run("classify", "-", "--model", single, input="the king").exit_code == 0
    assert run("classify", "a", "--pair", "b", "--model", single).exit_code == 0
    result = run("classify", "a", "--threshold", 0, "--model", several, "--json")
    assert len(json.loads(result.output)["chosen"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a", "b", "--pair", "c"], 2, "--pair goes with one TEXT"),
        ([" "], 1, "the text is empty"),
        (["a", "--threshold", "2"], 2, "2"),
    ],
)
def test_what_cannot_be_asked(single, arguments, code, message):
    result = run("classify", *arguments, "--model", single)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_eval_scores_by_the_measures_of_the_task(single, several, data):
    result = run("eval", single, data["single"], "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["total"] == 40
    assert found["baselines"]["base rate"]["accuracy"] > 50
    result = run("eval", several, data["several"], "--json", "--limit", 30)
    found = json.loads(result.output)
    assert found["total"] == 30
    assert found["by_label"]["king"]["threshold"] == 1
    assert found["by_label"]["king"]["temperature"] == 2
    assert set(found) > {"roc_auc", "average_precision", "bce", "exact_match", "macro_f1_at_half"}


def test_eval_of_what_the_recipe_kept_out(several, single, data):
    result = run("eval", several, data["several"], "--held-out", "--train", data["several"])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["total", "20"] in lines
    assert ["for", "comparison,", "TF-IDF", "+", "linear"] in lines
    assert {"macro_f1_cross_fitted", "bce_cross_fitted"} <= {line[0] for line in lines if line}
    result = run("eval", single, data["single"], "--held-out")
    assert "was not trained with split or folds" in result.stderr


def test_eval_of_columns_and_labels_that_are_not_there(single, data, tmp_path):
    result = run("eval", single, data["single"], "--text", "sentence")
    assert "no column 'sentence'" in result.stderr
    other = tmp_path / "other.csv"
    other.write_text("text,label\nthe king,blue\n")
    result = run("eval", single, other)
    assert result.exit_code == 1
    assert "row 1: label 'blue' is none of other, red" in result.stderr


def test_eval_reads_long_texts_as_it_is_told(single, tmp_path):
    texts = ["the red king built a tower " * n for n in (1, 3, 6, 12)]
    found = [
        json.loads(run("classify", *texts, "--model", single, "--windows", n, "--json").stdout)
        for n in (1, 2)
    ]
    # Labels as the classifier gives them, so that whoever reads as it did is always right.
    for windows, labelled_by in enumerate(found, start=1):
        path = tmp_path / f"{windows}.csv"
        rows = (f"{t},{one['chosen'][0]}" for t, one in zip(texts, labelled_by, strict=True))
        path.write_text("\n".join(["text,label", *rows]))
        scores = json.loads(run("eval", single, path, "--windows", windows, "--json").stdout)
        assert scores["accuracy"] == 100
        losses = json.loads(run("eval", single, path, "--windows", 0, "--json").stdout)
        assert losses["log_loss"] != scores["log_loss"]


def test_options_of_another_task_are_refused(single, data, tmp_path):
    reader = tiny.write_model(tmp_path / "reader")
    squad = tiny.write_squad(tmp_path / "squad.json")
    for model, file, option, known in (
        (single, data["single"], ["--calibration"], "question-answering"),
        (single, data["single"], ["--max-answer-tokens", 3], "question-answering"),
        (reader, squad, ["--windows", 0], "text-classification"),
        (reader, squad, ["--held-out"], "text-classification, token-classification, multiple"),
    ):
        result = run("eval", model, file, *option)
        assert result.exit_code == 2
        assert f"{option[0]} applies only to {known}" in result.stderr
    result = run("eval", reader, squad, "--text", "a")
    assert "data for question-answering have no column text: omit it" in result.stderr


def test_a_language_model_is_scored_too(tmp_path):
    language = tiny.write_model(tmp_path / "lm", head="mlm")
    write_manifest(language, Manifest(task="masked-lm"))
    corpus = tiny.write_corpus(tmp_path / "corpus.txt")
    found = json.loads(run("eval", language, corpus, "--json").stdout)
    assert found["total"] > 100 and 0 <= found["accuracy"] <= 100


def test_info_describes_labelled_texts(single, data, tmp_path):
    columns = ["--label", "red", "--label", "king", "--model", single]
    task = ["--task", "text-classification"]
    result = run("info", data["several"], *task, *columns, "--seq-len", 8, "--json")
    found = json.loads(result.output)
    assert found["problem"] == "multi-label"
    assert set(found["labels"]) == set(LABELS)
    assert found["truncated"] == 0
    result = run("info", data["single"], *task, "--model", single)
    assert ["examples", "40"] in [line.split() for line in result.output.splitlines()]
    result = run("info", single)
    assert "text-classification" in result.output
    assert "no answer" not in result.output


def test_a_recipe_runs_from_the_command_line(data, tmp_path):
    recipe = tmp_path / "recipe.toml"
    base = tiny.write_model(tmp_path / "base", head=None)
    recipe.write_text(
        'task = "text-classification"\nlabel = ["red", "king"]\nsplit = 0.5\nthreads = 1\n'
        'batch_tokens = 200\nseq_len = 32\nprecision = "fp32"\n'
    )
    out = tmp_path / "out"
    where = [f"base={base}", f"train={data['several']}", f"out={out}", "max_steps=2"]
    result = run("finetune", recipe, *where, "--json")
    assert result.exit_code == 0, result.output
    assert "roc_auc" in json.loads(result.stdout.splitlines()[-1])
    student = [f"base={out}", f"train={data['several']}", f"out={tmp_path / 'student'}"]
    result = run("distil", recipe, *student, "n_layers=1", "max_steps=2", f"cache={tmp_path / 'c'}")
    assert result.exit_code == 0, result.output
    assert run("classify", "red", "--model", tmp_path / "student", "--json").exit_code == 0
