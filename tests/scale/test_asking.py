"""Bulk jobs that ask documents, and those that give sentences: the client's, row by row."""

import json

import pytest

import tiny
from potstill.errors import IndexDataError, InputError, JobError
from potstill.retrieval import highlighting
from potstill.retrieval.index import Index
from potstill.runtime.qa import QAClient
from potstill.scale.job import JobListeners, JobOptions, run_job
from potstill.scale.predict import PredictOptions

TEXT = "The king built a tower in Paris. The queen wrote a red book. It was new."


class Stopped(Exception):
    """Raised from outside, in the middle of a job."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def client(model):
    return QAClient.from_options(model, threads=1)


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "book.md").write_text("# The queen\n\nThe queen wrote a red book.\n")
    (folder / "king.txt").write_text("First line.\n\nThe king built a tower in Paris.\n")
    Index.open(folder, create=True).update()
    return folder


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def job(model, **predict):
    return JobOptions(
        predict=PredictOptions(model=str(model), runtime="onnxruntime", **predict), part_rows=32
    )


def known(row):
    return {name: value for name, value in row.items() if value is not None}


def test_answers_of_documents_have_their_places(model, client, index, tmp_path):
    rows = [{"question": "What did the king build?"}, {"question": "zebras"}, {"question": " "}]
    out = tmp_path / "out.jsonl"
    counts = run_job(write(tmp_path / "in.jsonl", rows), out, job(model, index=str(index)))
    assert (counts.rows, counts.bad) == (2, 1)
    answered, nothing = read(out)
    (expected,) = Index.open(index).ask("What did the king build?", client).citations
    assert known(answered) == {**rows[0], **expected.to_dict(), "source": "king.txt"}
    text = (index / "king.txt").read_text()
    assert text[answered["start"] : answered["end"]] == answered["answer"]
    assert answered["line"] in (1, 3)
    assert known(nothing) == rows[1]


@pytest.mark.parametrize(
    ("give", "more"), [("highlight", {"top_k": 2}), ("highlight", {}), ("prune", {"tokens": 12})]
)
def test_sentences_are_the_clients(model, client, index, tmp_path, give, more):
    question = "What did the queen write?"
    rows = [{"question": question, "context": TEXT}]
    out = tmp_path / "out.jsonl"
    run_job(write(tmp_path / "in.jsonl", rows), out, job(model, give=give, **more))
    sentences = read(out)[0]["sentences"]
    expected = getattr(client, give)(
        question, TEXT, **({"top_k": 3} | more if give != "prune" else more)
    )
    assert [(s["text"], s["start"]) for s in sentences] == [(s.text, s.start) for s in expected]
    assert all(TEXT[s["start"] : s["end"]] == s["text"] for s in sentences)

    placed = tmp_path / "placed.jsonl"
    rows = [{"question": question}]
    options = job(model, give=give, index=str(index), **more)
    run_job(write(tmp_path / "b.jsonl", rows), placed, options)
    hits = Index.open(index).search(question, reader=client)
    found = getattr(highlighting, give)(
        client, question, hits, **({"top_k": 3} | more if give != "prune" else more)
    )
    got = read(placed)[0]["sentences"]
    assert [s["text"] for s in got] == [s.text for s in found]
    assert got[0]["source"] == "book.md"


def test_claims_name_what_supports_them(model, index, tmp_path):
    answer = "The queen wrote a red book. Elephants came."
    out = tmp_path / "out.jsonl"
    rows = [{"said": answer, "context": TEXT}]
    options = job(model, give="cite")
    renamed = JobOptions(predict=options.predict, part_rows=32, columns={"answer": "said"})
    run_job(write(tmp_path / "in.jsonl", rows), out, renamed)
    first, second = read(out)[0]["claims"]
    assert first["sources"][0]["text"] == "The queen wrote a red book."
    assert second["sources"] == []
    placed = tmp_path / "placed.jsonl"
    rows = [{"answer": answer}]
    run_job(write(tmp_path / "b.jsonl", rows), placed, job(model, give="cite", index=str(index)))
    (source,) = read(placed)[0]["claims"][0]["sources"]
    assert (source["source"], source["line"]) == ("book.md", 3)


def test_sentences_and_claims_are_columns_of_parquet(model, index, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    asked = write(tmp_path / "in.jsonl", [{"question": "What did the queen write?"}])
    run_job(asked, tmp_path / "a.parquet", job(model, give="highlight", index=str(index)))
    (row,) = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert row["sentences"][0]["source"] == "book.md"
    assert row["sentences"][0]["page"] is None
    said = write(tmp_path / "said.jsonl", [{"answer": "The king built.", "context": TEXT}])
    run_job(said, tmp_path / "b.parquet", job(model, give="cite"))
    (row,) = parquet.read_table(tmp_path / "b.parquet").to_pylist()
    assert row["claims"][0]["sources"][0]["text"] == "The king built a tower in Paris."


def test_a_job_goes_on_where_it_stopped_while_its_documents_are_the_same(model, index, tmp_path):
    rows = [{"question": f"What did the king build in {1900 + i}?"} for i in range(70)]
    source, out = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    options = job(model, index=str(index))

    def stop(n, new):
        raise Stopped

    with pytest.raises(Stopped):
        run_job(source, out, options, JobListeners(done=stop))
    text = (index / "king.txt").read_text()
    (index / "king.txt").write_text("Another text.\n")
    Index.open(index).update()
    with pytest.raises(JobError, match="other documents"):
        run_job(source, out, options)
    (index / "king.txt").write_text(text)
    Index.open(index).update()
    result = run_job(source, out, options)
    assert (result.rows, result.resumed) == (70, 32)
    assert run_job(source, out, options).was_done
    assert [row["source"] for row in read(out)] == ["king.txt"] * 70


def test_what_does_not_go_together_is_refused(model, index, tmp_path, tmp_path_factory):
    source, out = write(tmp_path / "in.jsonl", [{"question": "Who?"}]), tmp_path / "out.jsonl"
    for more, said in (
        ({"give": "dance"}, "answer, highlight, prune, cite"),
        ({"give": "highlight", "tokens": 3}, "prune alone"),
        ({"index": str(index), "top_k": 2}, "highlight and cite"),
        ({"give": "prune", "top_k": 2}, "highlight and cite"),
        ({"top_k": 2}, "highlight and cite"),
    ):
        with pytest.raises(InputError, match=said):
            run_job(source, out, job(model, **more))
    with pytest.raises(IndexDataError, match="potstill index"):
        run_job(source, out, job(model, index=str(tmp_path)))
    folder = tmp_path_factory.mktemp("classifier")
    tiny.write_model(folder, head="classification", labels=("a", "b"))
    with pytest.raises(InputError, match="answer questions"):
        run_job(source, out, job(folder, give="highlight"))
    assert not out.exists()
