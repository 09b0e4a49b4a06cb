"""One bad byte in a job's input is one bad row."""

import json

import pytest

from potstill.scale.sources import JobSource

ROW = {"question": "Who?", "context": "Ida did."}


def read(path):
    return list(JobSource((path,), ("question", "context"), frozenset()).rows())


@pytest.mark.parametrize("bad", [b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80"])
def test_a_byte_that_is_no_text_in_jsonl(tmp_path, bad):
    whole = json.dumps(ROW).encode()
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([whole, whole.replace(b"Ida", b"I" + bad + b"da"), whole]) + b"\n")
    first, second, third = read(path)
    assert (first.reason, third.reason, third.number) == ("", "", 3)
    assert second.values is None and second.reason == "it holds bytes that are no text"
    second.raw.encode("utf-8")
    assert "\ufffd" in second.raw


def test_a_byte_that_is_no_text_in_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"question,context\nWho?,Ida\nWho?,I\xffda\nWho?,Ida\n")
    assert [row.reason for row in read(path)] == ["", "it holds bytes that are no text", ""]


def test_half_characters_that_json_escapes_are_text_like_any_other(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({**ROW, "question": "\udc80"}) + "\n")
    (row,) = read(path)
    assert row.reason == ""
