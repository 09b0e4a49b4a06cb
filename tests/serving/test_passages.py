"""Sentences of passages, and the documents of an index, over HTTP: as the client gives them."""

from __future__ import annotations

import time

import pytest

from potstill import QAClient
from potstill.errors import IndexDataError, InputError
from potstill.retrieval import highlighting
from potstill.retrieval.index import Index
from potstill.serving.options import Limits, ServeOptions
from potstill.serving.service import Service
from running import Running, wait_until

PASSAGES = [
    "The king built a tower in Paris. The queen wrote a red book. It was new.",
    "Denver won the first game. Carolina lost.",
]
QUESTION = "Who wrote the book?"
A = {"name": "a.txt", "text": "The king built a tower."}


@pytest.fixture(scope="module")
def client(folders):
    return QAClient.from_options(folders["reader"], threads=1)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    text = "# The queen\n\nThe queen wrote a red book.\n\n# Denver\n\nDenver won the first game.\n"
    (folder / "book.md").write_text(text)
    (folder / "king.txt").write_text("First line.\n\nThe king built a tower in Paris.\n")
    found = Index.open(folder, create=True)
    found.update()
    return folder


@pytest.fixture(scope="module")
def asked(folders, index):
    options = ServeOptions(
        models={"reader": folders["reader"], "classifier": folders["classifier"]},
        index=str(index),
        workers=1,
    )
    with Running(options) as running:
        yield running


def same(found, expected):
    assert [{**one, "score": 0} for one in found] == [{**one, "score": 0} for one in expected]
    scores = [one["score"] for one in expected]
    assert [one["score"] for one in found] == pytest.approx(scores, abs=1e-6)


def known(rows):
    """Rows without the fields that say nothing."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_sentences_are_the_clients(server, client):
    call = {"question": QUESTION, "passages": PASSAGES}
    status, headers, found = server.ask("/highlight", call)
    assert status == 200 and float(headers["x-inference-time"]) >= 0
    same(found, [one.to_dict() for one in client.highlight(QUESTION, PASSAGES)])
    assert server.ask("/highlight", {**call, "top_k": 2})[2] == found[:2]
    one = server.ask("/highlight", {**call, "passages": PASSAGES[1]})[2]
    same(one, [one.to_dict() for one in client.highlight(QUESTION, PASSAGES[1])])


@pytest.mark.parametrize("option", [{"tokens": 15}, {"enough": 0.5}, {}])
def test_what_is_kept_is_what_the_client_keeps(server, client, option):
    _, _, found = server.ask("/prune", {"question": QUESTION, "passages": PASSAGES, **option})
    same(found, [one.to_dict() for one in client.prune(QUESTION, PASSAGES, **option)])


def test_what_supports_an_answer_is_what_the_client_finds(server, client):
    answer = "The queen wrote a book. Elephants came."
    _, _, found = server.ask("/cite", {"answer": answer, "passages": PASSAGES, "top_k": 2})
    expected = [one.to_dict() for one in client.cite(answer, PASSAGES, top_k=2)]
    assert [claim["text"] for claim in found] == ["The queen wrote a book.", "Elephants came."]
    assert found[1]["sources"] == []
    for claim, other in zip(found, expected, strict=True):
        assert (claim["start"], claim["end"]) == (other["start"], other["end"])
        same(claim["sources"], other["sources"])
    # A lone sentence needs no reader: nothing is run for it.
    (claim,) = server.ask("/cite", {"answer": "Denver won.", "passages": "Denver won."})[2]
    assert claim["sources"][0]["score"] == 1


def test_documents_answer_with_their_places(asked, client, index):
    call = {"question": "What did the king build?", "top_k": 3, "no_answer": False}
    status, _, found = asked.ask("/ask", call)
    assert status == 200
    same(known(found)[:1], [expected_of(index, client, call)[0]])
    assert {one["source"] for one in found} == {"king.txt"}
    assert found[0]["line"] == 3 and found[0]["passage"].startswith("First line.")
    text = (index / "king.txt").read_text()
    assert text[found[0]["start"] : found[0]["end"]] == found[0]["answer"]
    assert asked.ask("/ask", {"question": "zebras?"})[2] == []
    assert asked.ask("/info")[2]["passages"] == 2


def test_documents_that_are_sent_are_asked(server, client):
    documents = [
        {"name": "a.txt", "text": "The queen wrote a red book."},
        {"name": "b.txt", "text": "First line.\n\nThe king built a tower in Paris."},
    ]
    call = {"question": "What did the king build?", "documents": documents, "no_answer": False}
    status, _, found = server.ask("/ask", call)
    assert status == 200
    of = {one["name"]: one["text"] for one in documents}
    (one,) = found
    assert of[one["source"]][one["start"] : one["end"]] == one["answer"]
    many = [{"name": f"{i}.txt", "text": f"Elephant number {i}."} for i in range(80)]
    call = {**call, "documents": [*many, *documents], "top_k": 5}
    first, again = (server.ask("/ask", call)[2] for _ in range(2))
    assert {one["source"] for one in first} == {"b.txt"}
    assert first == again
    _, _, other = server.ask("/ask", {**call, "documents": many})
    assert other == []


def expected_of(index, client, call):
    found = Index.open(index).ask(
        call["question"], client, top_k=call["top_k"], no_answer=call["no_answer"]
    )
    return [
        {
            **one.to_dict(),
            "source": "king.txt",
            "passage": one.passage,
            "passage_start": one.passage_start,
        }
        for one in found.citations
    ]


def test_sentences_of_documents_have_their_places(asked, client, index):
    _, _, found = asked.ask("/highlight", {"question": "What did the queen write?", "top_k": 1})
    hits = Index.open(index).search("What did the queen write?", reader=client)
    (expected,) = highlighting.highlight(client, "What did the queen write?", hits, top_k=1)
    same(known(found), [{**expected.to_dict("text"), "source": "book.md"}])
    assert found[0]["heading"] in ("The queen", "Denver")
    (claim,) = asked.ask("/cite", {"answer": "The queen wrote a red book."})[2]
    assert known(claim["sources"])[0]["source"] == "book.md"
    kept = asked.ask("/prune", {"question": "What did the queen write?", "tokens": 50})[2]
    assert [one["start"] for one in kept] == sorted(one["start"] for one in kept)
    assert asked.ask("/highlight", {"question": "zebras"})[2] == []


def test_an_index_is_read_as_it_is_now(folders, tmp_path):
    (tmp_path / "a.txt").write_text("The king built a tower.\n")
    index = Index.open(tmp_path, create=True)
    index.update()
    models = {"reader": folders["reader"]}
    with Running(ServeOptions(models=models, index=str(tmp_path), workers=1)) as running:
        call = {"question": "Who won the first game?", "no_answer": False}
        assert running.ask("/ask", call)[2] == []
        (tmp_path / "b.txt").write_text("Denver won the first game.\n")
        index.update()
        wait_until(lambda: running.ask("/ask", call)[2] != [] or time.sleep(0.2))
        assert running.ask("/ask", call)[2][0]["source"] == "b.txt"


@pytest.mark.parametrize(
    ("path", "call", "status", "field"),
    [
        ("/ask", {"question": "Who?"}, 404, None),
        ("/ask", {"question": "Who?", "documents": []}, 400, "documents"),
        ("/ask", {"question": "Who?", "documents": [A, A]}, 422, "documents.1.name"),
        (
            "/ask",
            {"question": "Who?", "documents": [{"name": "a", "text": " "}]},
            400,
            "documents.0.text",
        ),
        ("/ask", {"question": "Who?", "documents": [{"name": "a"}]}, 422, "documents.0"),
        ("/highlight", {"question": "Who?"}, 404, None),
        ("/highlight", {"question": "Who?", "passages": []}, 400, "passages"),
        ("/highlight", {"question": "Who?", "passages": ["a", " "]}, 400, "passages.1"),
        ("/highlight", {"question": " ", "passages": "a"}, 400, "question"),
        ("/highlight", {"question": "Who?", "passages": [1]}, 422, "passages.0"),
        ("/highlight", {"question": "Who?", "passages": {"a": 1}}, 422, "passages"),
        ("/highlight", {"question": "Who?", "passages": "a", "windows": 2}, 422, "windows"),
        ("/highlight", {"question": "king " * 500, "passages": "a"}, 422, "question"),
        ("/highlight", {"question": "Who?", "passages": "a", "model": "tagger"}, 404, "model"),
        ("/highlight", {"question": "Who?", "passages": "a", "more": 1}, 422, "more"),
        ("/prune", {"question": "Who?", "passages": "a", "tokens": 0}, 422, "tokens"),
        ("/prune", {"question": "Who?", "passages": "a", "enough": 1.5}, 422, "enough"),
        ("/cite", {"answer": " ", "passages": "a"}, 400, "answer"),
        ("/cite", {"answer": "king " * 500, "passages": "The king. A queen."}, 422, "answer"),
        ("/cite", {"answer": "It won. " * 200, "passages": "The king."}, 413, "answer"),
    ],
)
def test_bad_calls_name_their_field(server, path, call, status, field):
    got, _, body = server.ask(path, call)
    assert (got, body["error"].get("field")) == (status, field), body


def test_windows_are_counted_before_they_are_made(folders):
    options = ServeOptions(
        models={"reader": folders["reader"]}, workers=1, limits=Limits(max_windows=20)
    )
    with Running(options) as running:
        many = ["The king built a tower. The queen wrote. " * 50] * 5
        status, _, body = running.ask("/highlight", {"question": "Who?", "passages": many})
        assert (status, "windows" in body["error"]["message"]) == (413, True)
        call = {"answer": "The king built. " * 30, "passages": many[0], "top_k": 5}
        assert running.ask("/cite", call)[0] == 413


def test_an_index_that_cannot_be_used_is_said_at_start(folders, tmp_path):
    service = Service(ServeOptions(models={"reader": folders["reader"]}, index=str(tmp_path)))
    service.load()
    assert isinstance(service.failure, IndexDataError)
    service.close()
    Index.open(tmp_path, create=True)
    models = {"classifier": folders["classifier"]}
    service = Service(ServeOptions(models=models, index=str(tmp_path)))
    service.load()
    assert isinstance(service.failure, InputError) and "--model" in str(service.failure)
    service.close()


def test_a_passage_is_tokenized_once_for_all_sentences_of_an_answer(client, monkeypatch):
    """However many of them it may support: it was once for each."""
    known = type(client.tokenizer)
    seen = []
    for name in ("encode", "encode_batch"):
        plain = getattr(known, name)

        def spy(self, texts, plain=plain, **more):
            seen.append(len(texts) if isinstance(texts, str) else sum(map(len, texts)))
            return plain(self, texts, **more)

        monkeypatch.setattr(known, name, spy)
    passages = [
        f"{name} built a tower and wrote a red book in Paris." for name in ("King", "Queen")
    ]
    one = client.cite("The king built a tower.", passages)
    first, seen[:] = sum(seen), []
    many = client.cite("The king built a tower. " * 30, passages)
    assert [claim.sources for claim in many] == [one[0].sources] * 30
    assert sum(seen) < first + 30 * 3 * len("The king built a tower. ")


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/ask", {"question": "What did the king build?"}),
        ("/highlight", {"question": "What did the king build?"}),
        ("/prune", {"question": "What did the king build?"}),
        ("/cite", {"answer": "The king built a tower."}),
    ],
)
def test_passages_of_documents_are_counted_before_they_are_looked_for(asked, path, call):
    status, _, body = asked.ask(path, {**call, "windows": 5000})
    assert (status, body["error"]["field"]) == (413, "windows")
    assert "the limit is 4096" in body["error"]["message"]
    assert asked.ask(path, {**call, "windows": 40})[0] == 200


def test_an_answer_of_many_sentences_is_cited_from_documents(asked, index, client):
    answer = "The queen wrote a red book. The king built a tower. " * 60
    status, _, found = asked.ask("/cite", {"answer": answer, "timeout_ms": 60_000})
    assert status == 200 and len(found) == 120
    alone = asked.ask("/cite", {"answer": "The queen wrote a red book. The king built a tower."})[2]
    for i in range(0, 120, 2):
        for claim, other in zip(found[i : i + 2], alone, strict=True):
            assert claim["text"] == other["text"]
            same(known(claim["sources"]), known(other["sources"]))
    assert asked.ask("/cite", {"answer": answer, "windows": 100})[0] == 413
