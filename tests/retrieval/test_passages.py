"""Documents → passages: all words, in order, short enough, and with their places."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from potstill.documents.document import Document, Place, Writer
from potstill.retrieval import passages as room
from potstill.retrieval.packing import Packing
from potstill.retrieval.passages import chunks, passages

PARTS = st.sampled_from(["a", "word ", ". ", "\n", "\n\n", "x" * 700, "x" * 3000, " ", "\t"])


@given(st.lists(PARTS, max_size=300), st.sets(st.integers(0, 3000), max_size=5))
def test_passages_hold_all_words_and_chunks_know_their_places(parts, at):
    text = "".join(parts)
    marks = [(0, Place()), *((i, Place(page=i)) for i in sorted(at) if 0 < i < len(text))]
    document = Document(name="x", text=text, marks=marks, lines=True)
    end = 0
    for first, last in passages(document):
        assert first < last <= len(text)
        assert last - first <= 1400
        assert last > end
        assert first <= end or not text[end:first].strip()
        assert text[first:last].strip()
        end = last
    assert not text[end:].strip()
    for chunk in chunks(document):
        assert text[chunk.start : chunk.start + len(chunk.text)] == chunk.text
        for first, _ in chunk.passages:
            assert chunk.place(first) == document.place(chunk.start + first)


def parts(text, *marks):
    document = Document(name="x", text=text, marks=[(0, Place()), *marks])
    return [text[a:b] for a, b in passages(document)]


def test_paragraphs_are_put_together_up_to_a_length():
    paragraph = "A sentence of thirty letters. " * 10
    text = "\n\n".join([paragraph.strip()] * 5)
    assert [part.count("\n\n") for part in parts(text)] == [2, 1]


def test_a_long_paragraph_is_cut_at_sentences_and_the_last_one_is_repeated():
    text = " ".join(f"Sentence number {i:03} is here." for i in range(100))
    found = parts(text)
    assert len(found) > 2
    for one, other in zip(found, found[1:], strict=False):
        assert one.rstrip().endswith("is here.")
        assert other.startswith("Sentence number")
        assert other[:20] in one


def test_a_passage_does_not_go_beyond_a_page_nor_a_full_one_beyond_a_heading():
    text = "On page one.\n\nOn page two."
    assert parts(text, (14, Place(page=2))) == ["On page one.", "On page two."]
    assert parts(text, (14, Place(heading="Two"))) == [text]
    assert parts(text, (14, Place(row=2))) == [text]
    long = "On page one. " * 40
    text = f"{long}\n\nOn page two."
    at = len(long) + 2
    assert parts(text, (at, Place(heading="Two"))) == [long.strip(), "On page two."]


def test_long_documents_come_in_several_chunks(monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 3000)
    text = "\n".join(f"line {i}: the king built Paris" for i in range(1000))
    found = list(chunks(Document(name="x", text=text, lines=True)))
    assert len(found) > 5
    assert max(len(chunk.text) for chunk in found) <= 3000
    for chunk in found:
        line = chunk.place(chunk.passages[-1][0]).line
        start = chunk.passages[-1][0]
        assert chunk.text[start:].startswith(f"line {line - 1}:")


def test_a_chunk_is_unpacked_as_it_was_packed():
    writer = Writer()
    for row in range(1, 40):
        writer.move(sheet="Ships" if row < 30 else "", row=row, page=2 if row > 35 else None)
        writer.row(f"Ship: {row} \ud800 |\tLength: {row * row}")
    document = writer.document("a.xlsx", "All ships")
    packing = Packing(b"Ship: Length: " * 100, 3)
    (chunk,) = chunks(document)
    assert packing.chunk(packing.packed(document, chunk)) == ("a.xlsx", "All ships", chunk)
    long = Document(name="b", text="\n\n".join(["One two. " * 300] * 60), lines=True)
    for chunk in chunks(long):
        assert packing.chunk(packing.packed(long, chunk)) == ("b", "", chunk)
