"""The teacher cache: what was written is read, and what is damaged is found out."""

import numpy as np
import pytest

from potstill.errors import OutputError
from potstill.records import QAExample
from potstill.training.qa.teacher_cache import TeacherCache, WindowOutput

FACTS = {"weights": "a", "tokenizer": "b", "seq_len": 384, "stride": 128}


def example(number, context="A context."):
    return QAExample(id=str(number), question=f"Question {number}?", context=context)


def output(number, n_windows=1):
    random = np.random.default_rng(number)
    windows = []
    for k in range(n_windows):
        n = 7 + k
        logits = random.normal(size=(2, n + 5)).astype(np.float16)
        windows.append(WindowOutput(3 * k, 3 * k + n, 4, *logits))
    return windows


def fill(cache, numbers):
    cache.add([example(n) for n in numbers], [output(n, 1 + n % 3) for n in numbers])


def same(found, expected):
    return len(found) == len(expected) and all(
        (a.start, a.stop, a.context_at) == (b.start, b.stop, b.context_at)
        and np.array_equal(a.start_logits, b.start_logits)
        and np.array_equal(a.end_logits, b.end_logits)
        for a, b in zip(found, expected, strict=True)
    )


def test_what_was_written_is_read_again(tmp_path):
    fill(TeacherCache(tmp_path, FACTS), range(5))
    cache = TeacherCache(tmp_path, FACTS)
    fill(cache, range(5, 9))
    for opened in (cache, TeacherCache(tmp_path, FACTS)):
        assert len(opened) == 9
        assert all(same(opened[example(n)], output(n, 1 + n % 3)) for n in range(9))


def test_what_is_read_lies_in_the_file(tmp_path):
    fill(TeacherCache(tmp_path, FACTS), range(3))
    logits = TeacherCache(tmp_path, FACTS)[example(1)][0].start_logits
    assert logits.dtype == np.float16
    while isinstance(logits.base, np.ndarray) and not isinstance(logits, np.memmap):
        logits = logits.base
    assert isinstance(logits, np.memmap) or isinstance(logits.base, memoryview)


def test_only_what_is_missing_is_asked_for(tmp_path):
    cache = TeacherCache(tmp_path, FACTS)
    fill(cache, [1, 3])
    assert [e.id for e in cache.missing(example(n) for n in (0, 1, 2, 3, 2))] == ["0", "2"]
    elsewhere = example(1, context="Another context.")
    assert elsewhere not in cache and example(1) in cache
    renamed = QAExample(id="x", question="Question 1?", context="A context.")
    assert renamed in cache


@pytest.mark.parametrize("key", list(FACTS))
def test_another_teacher_or_way_of_cutting_windows_has_a_cache_of_its_own(tmp_path, key):
    fill(TeacherCache(tmp_path, FACTS), [1])
    assert example(1) not in TeacherCache(tmp_path, {**FACTS, key: "other"})


def shard(cache):
    return next(cache.folder.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: data[:-3] + bytes([data[-3] ^ 8]) + data[-2:], "its checksum is wrong"),
        (lambda data: b"\xff" * 64 + data[64:], "damaged"),
    ],
)
def test_a_damaged_shard_is_left_out_with_the_reason(tmp_path, damage, why):
    cache = TeacherCache(tmp_path, FACTS)
    fill(cache, [1])
    file = shard(cache)
    fill(cache, [2])
    file.write_bytes(damage(file.read_bytes()))
    said = []
    again = TeacherCache(tmp_path, FACTS, said.append)
    assert len(said) == 1 and why in said[0] and "computing it again" in said[0]
    assert len(again) == 1 and len(again.missing([example(1), example(2)])) == 1


def test_a_stale_shard_is_left_out_with_the_reason(tmp_path):
    old, new = TeacherCache(tmp_path, FACTS), TeacherCache(tmp_path, {**FACTS, "seq_len": 100})
    fill(old, [1])
    file = shard(old)
    (new.folder / file.name).write_bytes(file.read_bytes())
    said = []
    assert len(TeacherCache(tmp_path, {**FACTS, "seq_len": 100}, said.append)) == 0
    assert "it is stale" in said[0]


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    cache = TeacherCache(tmp_path, FACTS)
    fill(cache, [1])

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="cache=FOLDER"):
        fill(cache, [2])
    monkeypatch.undo()
    assert len(TeacherCache(tmp_path, FACTS)) == 1
    assert {path.suffix for path in cache.folder.iterdir()} == {".safetensors", ".json"}


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        TeacherCache(tmp_path / "file", FACTS)
