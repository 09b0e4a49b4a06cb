"""Readers of every type of encoder: exact answers, whatever the tokens are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.errors import EmptyInputError, InputError, TokenizerError
from potstill.export.bundle import export_bundle
from potstill.export.verify import check_bundle
from potstill.runtime.qa import QAClient
from potstill.text import tokenizer as module
from potstill.text.tokenizer import Tokenizer

ALPHABET = "the king .,?'Wé\u0301ñ😀אب中 \n\t\u00a0\u200d\ud83d"
TEXTS = (
    st.text(st.sampled_from(ALPHABET), max_size=120)
    | st.text(st.characters(), max_size=40)
    | st.lists(st.sampled_from(["Denver", "won.", "  ", "\n", "😀", "naïve"]), max_size=60).map(
        " ".join
    )
)
CONTEXT = " ".join(text for text, *_ in tiny.SENTENCES)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("roberta"), "roberta", max_positions=64)


@pytest.fixture(scope="module")
def client(roberta):
    return QAClient.from_options(roberta, threads=1, stride=16)


@settings(max_examples=60)
@given(question=TEXTS, context=TEXTS, align=st.booleans())
def test_answers_of_byte_level_tokens_are_pieces_of_the_text(client, question, context, align):
    try:
        answers = client.predict(question, context, top_k=6, align_to_words=align)
    except (EmptyInputError, InputError):
        return  # empty, or a question of more tokens than a window
    for answer in answers:
        assert context[answer.start : answer.end] == answer.text
        assert answer.text.strip()
    ranges = sorted((a.start, a.end) for a in answers)
    assert all(end <= start for (_, end), (start, _) in zip(ranges, ranges[1:], strict=False))


def test_white_space_is_no_text_though_it_has_tokens(client):
    assert len(client.tokenizer.encode(" \n ")) > 0
    with pytest.raises(EmptyInputError, match="the context of the question is empty"):
        client.predict("Who won?", " \n ")


def test_a_window_has_four_special_tokens(client, roberta):
    said = []
    run = client.session.run

    class Spy:
        def run(self, batch):
            said.append(batch)
            return run(batch)

    QAClient(client.tokenizer, Spy(), client.options).predict("Who won?", "Denver won.")
    tokens = client.tokenizer.tokens(said[0].input_ids[0])
    between = tokens.index("</s>")
    assert tokens[0] == "<s>" and tokens[between + 1] == "</s>" and tokens[-1] == "</s>"
    assert not said[0].token_type_ids.any()
    with pytest.raises(InputError, match="more than the 64 positions"):
        QAClient.from_options(roberta, seq_len=65)


def test_a_full_window_fits_the_position_table(client):
    long = " ".join([CONTEXT] * 3)
    reading = client.read("Who won the game?", long, top_k=9)
    assert reading.n_windows > 3
    assert all(long[a.start : a.end] == a.text for a in reading.answers)


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "electra", "mpnet"])
def test_every_format_is_verified_and_answers_alike(tmp_path, kind):
    folder = tiny.write_model(tmp_path / "model", kind)
    export_bundle(folder, tmp_path / "out", tiny.PLAIN)
    assert sum("replayed" in line for line in check_bundle(tmp_path / "out")) == 3
    answers = [
        QAClient.from_options(tmp_path / "out", precision=precision, threads=1).predict(
            "Who won the game?", CONTEXT
        )
        for precision in ("fp32", "fp16", "int8")
    ]
    exact, half, rough = answers
    assert (exact.start, exact.end) == (half.start, half.end)
    assert all(CONTEXT[a.start : a.end] == a.text for a in answers)
    assert exact.score == pytest.approx(rough.score, rel=0.8)


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "electra", "mpnet"])
def test_an_int8_file_alone_is_a_float_model_too(tmp_path, kind):
    folder = tiny.write_model(tmp_path / "model", kind)
    export_bundle(folder, tmp_path / "int8", ["int8"])
    export_bundle(tmp_path / "int8", tmp_path / "again", ["hf", "onnx"])
    one, other = (
        QAClient.from_options(tmp_path / name, threads=1).predict("Who won?", CONTEXT)
        for name in ("int8", "again")
    )
    assert one.score == pytest.approx(other.score, rel=0.5)


@given(words=st.lists(st.text("aknt.é😀 \n", min_size=1, max_size=9), max_size=40))
def test_a_long_text_is_read_in_pieces_that_make_no_difference(client, words):
    def shape_of(encoded):
        return encoded.ids.tolist(), encoded.offsets.tolist(), encoded.words.tolist()

    text = " ".join(words)
    whole = shape_of(client.tokenizer.encode(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 16)
        assert shape_of(client.tokenizer.encode(text)) == whole


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", b"{", "vocab.json and merges.txt are no usable tokenizer"),
        ("merges.txt", b"#version: 0.2\nx\n", "are no usable tokenizer"),
        ("merges.txt", b"#version: 0.2\nq\xc4\xa0q zz\n", "are no usable tokenizer"),
        ("vocab.json", b'{"a": 0}', "are no usable tokenizer"),
        ("merges.txt", None, "nor vocab.json with merges.txt"),
    ],
)
def test_damaged_pieces_of_a_tokenizer_are_one_line(tmp_path, name, content, message):
    tiny.write_byte_level(tmp_path, pieces=True)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=r"\A[^\n]*\Z") as caught:
        Tokenizer.from_folder(tmp_path)
    assert message in str(caught.value)


def test_pieces_without_the_special_tokens(tmp_path):
    tiny.write_byte_level(tmp_path, pieces=True)
    (tmp_path / "tokenizer_config.json").write_text('{"cls_token": {"content": "<cls>"}}')
    with pytest.raises(TokenizerError, match="the cls token '<cls>' is not in"):
        Tokenizer.from_folder(tmp_path)
