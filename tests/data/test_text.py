"""Corpora: what a document is, in every layout and package, and what is refused."""

import gzip
import lzma
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.text import Article, corpus_files, documents
from potstill.errors import DataError

ARTICLES = "= Anarchism =\nA first paragraph.\nA second one.\n\n= One = two =\nAnother article.\n"
EXPECTED = [
    Article("Anarchism", ("A first paragraph.", "A second one.")),
    Article("One = two", ("Another article.",)),
]
PACKERS = {"": lambda b: b, ".gz": gzip.compress, ".xz": lzma.compress}


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_articles(tmp_path, suffix, newline):
    path = tmp_path / f"part.txt{suffix}"
    path.write_bytes(PACKERS[suffix](ARTICLES.replace("\n", newline).encode()))
    assert list(documents(path)) == EXPECTED


def test_wikitext_with_blank_lines_and_headings_within_an_article(tmp_path):
    text = " \n = Valkyria = \n \n It is a game . \n \n = = Gameplay = = \n \n It is played . \n"
    path = write(tmp_path / "a.txt", text)
    assert list(documents(path)) == [Article("Valkyria", ("It is a game .", "It is played ."))]


def test_plain_text_is_parted_by_blank_lines(tmp_path):
    path = write(tmp_path / "a.txt", "\n\none\n  two\n\n\nthree")
    assert list(documents(path)) == [Article("", ("one", "two")), Article("", ("three",))]


def test_files_folders_globs_and_lists(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.txt", "sub/c.txt.gz", "notes.md"):
        data = f"text of {name}".encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    a, b, c = (tmp_path / name for name in ("a.txt", "b.txt", "sub/c.txt.gz"))
    assert corpus_files(tmp_path) == [a, b, c]
    assert corpus_files(str(tmp_path / "*.txt")) == [a, b]
    assert corpus_files([b, str(a)]) == [b, a]
    assert corpus_files(tmp_path / "notes.md") == [tmp_path / "notes.md"]
    found = [d.paragraphs[0] for d in documents(tmp_path)]
    assert found == ["text of a.txt", "text of b.txt", "text of sub/c.txt.gz"]


def test_the_end_of_a_file_ends_its_document(tmp_path):
    write(tmp_path / "a.txt", "= T =\none")
    write(tmp_path / "b.txt", "two")
    assert list(documents(tmp_path)) == [Article("T", ("one",)), Article("", ("two",))]


@pytest.mark.parametrize("text", ["", "\n \n", "= Title =\n\n= Another =\n"])
def test_an_empty_corpus_is_refused(tmp_path, text):
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(DataError, match=r"a\.txt holds no text"):
        list(documents(path))


def test_what_is_not_there_is_refused(tmp_path):
    for corpus in (tmp_path / "no.txt", tmp_path / "*.txt", [tmp_path / "no.txt"]):
        with pytest.raises(DataError, match="does not exist"):
            list(documents(corpus))
    with pytest.raises(DataError, match=r"holds no \.txt"):
        list(documents(tmp_path))


def test_what_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"gr\xfc\xdfe\n")
    with pytest.raises(DataError, match="not UTF-8"):
        list(documents(tmp_path))


def test_a_truncated_archive_is_refused(tmp_path):
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b"word " * 10_000)[:-20])
    with pytest.raises(DataError, match="truncated"):
        list(documents(tmp_path))


@pytest.mark.parametrize("newline", [" ", "\n", "\n\n"])
def test_memory_does_not_grow_with_the_corpus(tmp_path, newline):
    lines, line = 200_000, "a few words of text, and as many more of them" + newline
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress((line * lines).encode(), preset=0))
    found = 0
    tracemalloc.start()
    for document in documents(tmp_path):
        found += sum(p.count("few") for p in document.paragraphs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == lines
    assert peak < 4e6  # of 9 MB


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="=\r\n\x1c\x1d\x1e\x85"))
            .map(str.strip)
            .filter(bool),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, blocks, titled):
    path = tmp_path_factory.mktemp("corpus") / "a.txt"
    wanted = [Article(f"T{i}" if titled else "", tuple(b)) for i, b in enumerate(blocks)]
    text = "\n".join(
        (f"= {d.title} =\n" if titled else "") + "\n".join(d.paragraphs) + "\n" for d in wanted
    )
    write(path, text)
    assert list(documents(path)) == wanted
