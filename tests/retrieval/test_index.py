"""Folders → an index on disk → passages and answers, whatever happens in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pdfs import made
from potstill.documents import formats
from potstill.documents.document import Document
from potstill.errors import IndexDataError, InputError
from potstill.retrieval import index as room
from potstill.retrieval.index import Index


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.md").write_text("# Towers\n\nThe king built a tower in Paris.\n")
    (tmp_path / "b" / "c.txt").write_text("The queen wrote a red book.\nIt was new.\n")
    (tmp_path / "d.pdf").write_bytes(made("Nothing here.", "Denver won the game."))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4")
    return tmp_path


def found(index, words):
    return [hit.text for hit in index.search(words)]


def test_a_folder_is_indexed_searched_and_asked(folder, reader):
    index = Index.open(folder, create=True)
    changes = index.update()
    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (3, 0, 0, 0)
    assert [one.name for one in changes.skipped] == [str(folder / "broken.pdf")]
    assert index.n_passages == 4
    assert found(index, "Which towers were built?") == [
        "# Towers\n\nThe king built a tower in Paris."
    ]
    assert found(index, "winning games in denver") == ["Denver won the game."]
    assert found(index, "elephants") == found(index, "who was it") == []
    (citation,) = index.ask("Who won the game in Denver?", reader).citations
    assert citation.source == str(folder / "d.pdf")
    assert citation.place.page == 2
    text = "Nothing here.\n\nDenver won the game."
    assert text[citation.start : citation.end] == citation.text
    assert index.ask("elephants", reader).citations == ()


@pytest.mark.parametrize("typed", ["Dnever", "Dever", "Denvver", "denverr"])
def test_a_mistyped_word_finds_what_was_meant(typed):
    texts = ["Denver won the game.", "The fever was over.", "A deer drank."]
    index = Index.of(Document(name=f"{i}.txt", text=text) for i, text in enumerate(texts))
    assert found(index, f"winning in {typed}")[0] == texts[0]
    assert found(index, typed) == [texts[0]]


@pytest.mark.parametrize("typed", ["den", "1998", "Denvor", "Beever", "Dreenv", "elephants"])
def test_another_word_is_not_a_slip(typed):
    index = Index.of([Document(name="a.txt", text="Denver won in 1999, a dew and a fever later.")])
    assert found(index, typed) == []


def test_of_many_strange_words_few_are_sought():
    index = Index.of([Document(name="a.txt", text="Denver won the game.")])
    strange = ["elephant", "giraffe", "hippo", "zebra"]
    assert found(index, " ".join([*strange[:3], "Dnever"])) == ["Denver won the game."]
    assert found(index, " ".join([*strange, "Dnever"])) == []


def test_what_is_opened_again_is_what_was_written(folder, reader):
    Index.open(folder, create=True).update()
    index = Index.open(folder)
    answers = index.ask("Who wrote the red book?", reader, top_k=3)
    assert answers.citations[0].source == os.path.join(folder, "b", "c.txt")
    assert [r.name for r in index.files()] == ["a.md", "b/c.txt", "broken.pdf", "d.pdf"]
    assert Index.open(folder / ".potstill").path_of("a.md") == str(folder / "a.md")


def test_an_index_moves_with_its_folder(folder, reader, tmp_path_factory):
    Index.open(folder, create=True).update()
    other = tmp_path_factory.mktemp("other") / "moved"
    folder.rename(other)
    index = Index.open(other)
    assert index.ask("Who wrote it?", reader).citations[0].source.startswith(str(other))
    assert index.update().unchanged == 3


def test_only_what_has_changed_is_read_again(folder):
    index = Index.open(folder, create=True)
    index.update()
    same = (folder / "a.md").read_text()
    (folder / "a.md").write_text(same)
    os.utime(folder / "a.md", ns=(1, 1))
    (folder / "b" / "c.txt").write_text("The queen lost a green bridge.")
    (folder / "d.pdf").unlink()
    (folder / "new.txt").write_text("London is old.")
    changes = index.update()
    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (1, 1, 1, 1)
    assert found(index, "red book") == found(index, "denver") == []
    assert found(index, "green bridges") == ["The queen lost a green bridge."]
    assert found(index, "old London") == ["London is old."]
    assert found(index, "towers")
    again = index.update()
    assert (again.added, again.changed, again.removed, again.unchanged) == (0, 0, 0, 3)
    assert [one.name for one in again.skipped] == [str(folder / "broken.pdf")]


def test_what_an_older_version_read_is_read_again(folder, monkeypatch):
    index = Index.open(folder, create=True)
    index.update()
    assert not index.is_outdated
    monkeypatch.setattr(formats, "READING", formats.READING + 1)
    (folder / "new.txt").write_text("London is old.")
    again = Index.open(folder)
    assert again.is_outdated
    changes = again.update()
    assert (changes.added, changes.changed, changes.reread, changes.unchanged) == (1, 0, 3, 0)
    assert not Index.open(folder).is_outdated
    assert found(again, "red book") == ["The queen wrote a red book.\nIt was new."]
    changes = again.update()
    assert (changes.reread, changes.unchanged) == (0, 4)


def test_what_an_interrupted_update_has_read_again_is_not_read_a_third_time(folder, monkeypatch):
    Index.open(folder, create=True).update()
    monkeypatch.setattr(formats, "READING", formats.READING + 1)

    def stop(done, of):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "_COMMIT", -1)
    with pytest.raises(KeyboardInterrupt):
        Index.open(folder).update(progress=lambda done, of: stop(done, of) if done > 100 else None)
    index = Index.open(folder)
    assert index.is_outdated
    changes = index.update()
    assert changes.reread < 3
    assert changes.reread + changes.unchanged == 3
    assert not index.is_outdated


def test_a_file_that_was_mended_is_read(folder):
    index = Index.open(folder, create=True)
    index.update()
    (folder / "broken.pdf").write_bytes(made("Carolina lost."))
    assert index.update().added == 1
    assert found(index, "Carolina") == ["Carolina lost."]


def test_a_reader_sees_an_update_when_it_refreshes(folder):
    Index.open(folder, create=True).update()
    one, other = Index.open(folder), Index.open(folder)
    (folder / "a.md").write_text("A purple elephant.")
    one.update()
    other.refresh()
    assert found(other, "elephants") == ["A purple elephant."]


def test_two_writers_are_refused(folder):
    index = Index.open(folder, create=True)
    with index._store.writing(), pytest.raises(IndexDataError, match="another process"):
        Index.open(folder).update()
    assert index.update().added == 3


def test_what_cannot_be_opened_says_so(folder):
    with pytest.raises(IndexDataError, match="run `potstill index"):
        Index.open(folder)
    Index.open(folder, create=True).update()
    (folder / ".potstill" / "meta.json").write_text('{"schema": []}')
    with pytest.raises(IndexDataError, match="damaged or of another version"):
        Index.open(folder)


def test_an_index_elsewhere_names_files_in_full(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("index") / ".potstill"
    Index.open(elsewhere.parent, create=True).update([folder / "a.md"])
    (hit,) = Index.open(elsewhere.parent).search("towers")
    index = Index.open(elsewhere.rename(elsewhere.parent / "mine"))
    assert os.path.normpath(elsewhere.parent / hit.name) == str(folder / "a.md")
    with pytest.raises(InputError, match="give paths"):
        index.update()


def test_in_memory(reader):
    documents = [
        Document(name="one", text="The king built Paris."),
        Document(name="two", text="The queen won.", title="Games"),
    ]
    index = Index.of(documents)
    assert [hit.name for hit in index.search("games")] == ["two"]
    assert index.ask("Who built Paris?", reader).citations[0].source == "one"


def test_killed_at_any_time_it_is_whole(folder):
    """Kill −9 while indexing: every file is there once, as it was before or as it is now."""
    names = [f"{i:02}.txt" for i in range(30)]
    for name in names:
        (folder / name).write_text("the king built Paris. " * 2000)
    Index.open(folder, create=True).update()
    code = (
        "import sys; from potstill.retrieval import index as room\n"
        "room._COMMIT = 20_000\n"
        "room.Index.open(sys.argv[1]).update(progress=lambda *_: print(flush=True))"
    )
    for n_read in (1, 7, 20):
        for name in names:
            (folder / name).write_text(f"round{n_read} " * 4000)
        child = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE)
        for _ in range(n_read):
            child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
        index = Index.open(folder)
        kept = [record for record in index.files() if record.name in names]
        assert [record.name for record in kept] == names
        rounds = [hit for old in ("king", "round1", "round7") for hit in index.search(old, 2000)]
        new = index.search(f"round{n_read}", 2000) if n_read == 20 else []
        passages = {(hit.name, hit.chunk.start + hit.span[0]) for hit in (*rounds, *new)}
        assert len(passages) == sum(record.n_passages for record in kept) + 1  # a.md has a king
    assert index.update().changed > 0
    assert len({hit.name for hit in index.search("round20", 2000)}) == 30


def test_an_update_clears_what_a_killed_one_left(folder):
    for i in range(8):
        (folder / f"{i}.txt").write_text("the king built Paris. " * 2000)
    Index.open(folder, create=True).update()
    store = folder / ".potstill"
    whole = {file.name for file in store.iterdir()}
    for i in range(8):
        (folder / f"{i}.txt").write_text(f"zebras won {i}. " * 4000)
    code = (
        "import sys; from potstill.retrieval import index as room, store\n"
        "room._COMMIT, store._HEAP = 30_000, 15_000_000\n"
        "room.Index.open(sys.argv[1]).update(progress=lambda *_: print(flush=True))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE)
    for _ in range(5):
        child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    (store / ".tmpAbCd12").write_text("half of a list")  # as tantivy has it until its rename
    (store / f"{'a1' * 16}.store").write_text("not listed, so nobody's to remove")
    index = Index.open(folder)
    index.update()
    meta = json.loads((store / "meta.json").read_text())
    segments = {one["segment_id"].replace("-", "") for one in meta["segments"]}
    left = {file.name for file in store.iterdir()} - {f"{'a1' * 16}.store"}
    assert {name for name in left if name.partition(".")[0] not in segments} == {
        name for name in whole if name.startswith(".") or name == "meta.json"
    }
    assert len({hit.name for hit in index.search("zebras", 2000)}) == 8


def test_a_passage_that_has_a_word_often_comes_first():
    texts = ["The king saw a tower and left.", "The tower of towers is a tower.", "A queen won."]
    index = Index.of(Document(name=f"{i}.txt", text=text) for i, text in enumerate(texts))
    assert found(index, "towers") == [texts[1], texts[0]]


def test_what_something_costs_is_found_where_its_price_stands():
    texts = ["Item: Coat |\tPrice: 9", "It costs nothing at cost to cost a cost.", "A coat is red."]
    index = Index.of(Document(name=f"{i}.txt", text=text) for i, text in enumerate(texts))
    for question in ("What does a coat cost?", "The price of a coat?", "How expensive is a coat?"):
        assert found(index, question)[0] == texts[0]


def test_a_word_that_one_long_file_has_on_each_line_still_tells():
    log = "\n\n".join(f"{'P7 level. ' * 100}{'Stopped.' * (n == 700)}" for n in range(900))
    others = (f"A man stopped a car and stopped to stop it {n} times." for n in range(30))
    texts = [log, *others]
    index = Index.of(Document(name=f"{i}.txt", text=text) for i, text in enumerate(texts))
    first = index.search("Why did P7 stop?", 32)
    assert any("P7" in hit.text and "Stopped" in hit.text for hit in first)
