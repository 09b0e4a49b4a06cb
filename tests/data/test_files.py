import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.files import open_text, parse_json, read_json
from potstill.errors import DataError

TEXT = "eins\r\nzwei “drei” 😀\n\0 vier" * 40
PACKERS = {"": lambda b: b, ".gz": gzip.compress, ".xz": lzma.compress}


def read(path):
    with open_text(path) as file:
        return file.read()


@pytest.mark.parametrize("suffix", PACKERS)
def test_reads_plain_and_packed_text_as_it_is(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT.encode()))
    assert read(path) == TEXT
    assert read(str(path)) == TEXT


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_content_decides_over_name(tmp_path, suffix):
    path = tmp_path / "renamed.txt"
    path.write_bytes(PACKERS[suffix](TEXT.encode()))
    assert read(path) == TEXT


def test_drops_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfhello")
    assert read(path) == "hello"


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nothere\.json does not exist"):
        read(tmp_path / "nothere.json")


def test_directory_given_as_a_file(tmp_path):
    with pytest.raises(DataError, match="is a directory: give a file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["nul\0byte", "x" * 5000, "file/below"])
def test_impossible_names(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be opened"):
        read(tmp_path / name)


def test_not_utf8(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("naïve".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt is not UTF-8"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_plain_text_under_an_archive_name(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("hello")
    with pytest.raises(DataError, match=f"is not a {suffix[1:]} archive"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated_archive_is_a_one_line_error(tmp_path_factory, suffix, cut):
    packed = PACKERS[suffix](TEXT.encode())
    path = tmp_path_factory.mktemp("cut") / f"a{suffix}"
    path.write_bytes(packed[: int(cut * len(packed))])
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@given(data=st.data())
def test_damaged_archive_never_gives_wrong_text(tmp_path_factory, suffix, data):
    packed = bytearray(PACKERS[suffix](TEXT.encode()))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("bad") / f"a{suffix}"
    path.write_bytes(packed)
    try:
        assert read(path) == TEXT
    except DataError as error:
        assert "\n" not in str(error)


def test_errors_of_the_caller_pass_through(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello")
    with pytest.raises(FileNotFoundError), open_text(path):
        Path(tmp_path / "other").read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it is empty"),
        ('{"a": ', "cut short"),
        ("[" * 200_000, "nested too deeply"),
        ("9" * 5000, "is not JSON"),
    ],
)
def test_bad_json_is_a_one_line_error(tmp_path, content, says):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_json(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_may_hold_lone_surrogates():
    assert parse_json('"\\ud800"', "here") == "\ud800"
