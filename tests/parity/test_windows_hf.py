"""Windows against the pair encodings of transformers' own tokenizers: ids, offsets, types."""

from __future__ import annotations

import json

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.bundle.atomic import write_json
from potstill.export.bundle import export_bundle
from potstill.runtime.pipelines import QuestionAnsweringPipeline
from potstill.text.tokenizer import BERT_PAIR, ROBERTA_PAIR, Tokenizer
from potstill.text.windows import assemble, pad, windows

SEQ_LEN, STRIDE = 80, 16

ALPHABET = " \n\tthe kingbuW?.,'é\u0301ñ😀אب中\u00a0\u3000\u200d"
QUESTIONS = st.text(st.sampled_from(ALPHABET), max_size=12)
# Never empty: transformers takes "" for no second text at all.
CONTEXTS = st.text(st.sampled_from(ALPHABET), min_size=1, max_size=150) | st.lists(
    st.sampled_from(["Denver", "won", "the game.", "  ", "\n\n", "naïve"]), min_size=1, max_size=60
).map(" ".join)

KINDS = {
    "bert": (tiny.write_tokenizer, transformers.BertTokenizer),
    "roberta": (tiny.write_byte_level, transformers.RobertaTokenizer),
    "roberta-pieces": (
        lambda folder: tiny.write_byte_level(folder, pieces=True),
        transformers.RobertaTokenizer,
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    """Our tokenizer and theirs, from one folder."""
    folder = tmp_path_factory.mktemp("tokenizer")
    write, theirs = KINDS[request.param]
    write(folder)
    return Tokenizer.from_folder(folder), theirs.from_pretrained(folder)


def ours_of(tokenizer, question, context):
    """Rows, each with the offsets of its context tokens, and the batch of all of them."""
    asked, text = tokenizer.encode(question), tokenizer.encode(context)
    cut = {"seq_len": SEQ_LEN, "stride": STRIDE, "layout": tokenizer.layout}
    found = windows(0, 0, len(asked), len(text), **cut)
    rows = [assemble(tokenizer, asked, text, window) for window in found]
    first = [window.context_at for window in found]
    assert [len(row) for row in rows] == [len(window) for window in found]
    spans = [[tuple(o) for o in text.offsets[w.start : w.stop].tolist()] for w in found]
    return rows, spans, pad(rows, first, tokenizer.pad_id, tokenizer.layout)


@settings(max_examples=60)
@given(question=QUESTIONS, context=CONTEXTS)
def test_rows_are_theirs(both, question, context):
    tokenizer, theirs = both
    rows, spans, batch = ours_of(tokenizer, question, context)
    found = theirs(
        question,
        context,
        max_length=SEQ_LEN,
        stride=STRIDE,
        truncation="only_second",
        padding=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    assert found["input_ids"] == batch.input_ids.tolist()
    assert found["attention_mask"] == batch.attention_mask.tolist()
    assert found["token_type_ids"] == batch.token_type_ids.tolist()
    for i, own in enumerate(spans):
        pairs = zip(found["offset_mapping"][i], found.sequence_ids(i), strict=True)
        assert own == [tuple(offset) for offset, of in pairs if of == 1]


def test_the_layout_is_that_of_the_post_processor(tmp_path):
    for name, (write, _) in KINDS.items():
        write(tmp_path / name)
        layout = Tokenizer.from_folder(tmp_path / name).layout
        assert layout == (BERT_PAIR if name == "bert" else ROBERTA_PAIR)
    # A RoBERTa that reads word pieces, as there are some: the files say so, not the model type.
    named = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    options = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    write_json(tmp_path / "roberta" / "tokenizer_config.json", options)
    file = tmp_path / "roberta" / "tokenizer.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values["post_processor"] = {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}
    write_json(file, values)
    assert Tokenizer.from_folder(tmp_path / "roberta").layout == BERT_PAIR
    values["post_processor"] = None  # made by hand: the special tokens tell
    write_json(file, values)
    assert Tokenizer.from_folder(tmp_path / "roberta").layout == ROBERTA_PAIR


@pytest.mark.parametrize("pieces", [False, True], ids=["tokenizer.json", "vocab.json"])
def test_an_exported_folder_has_robertas_tokenizer(tmp_path, pieces):
    folder = tiny.write_model(tmp_path / "model", "roberta")
    if pieces:
        (folder / "tokenizer.json").unlink()
        tiny.write_byte_level(folder, pieces=True)
    export_bundle(folder, tmp_path / "out", ["hf"])
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"tokenizer.json", "vocab.json", "merges.txt"} <= names and "vocab.txt" not in names
    text = "Who won the game?", "Denver Broncos won the game in Denver."
    wanted = transformers.RobertaTokenizer.from_pretrained(folder)(*text)["input_ids"]
    found = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert type(found) is transformers.RobertaTokenizer
    assert found(*text)["input_ids"] == wanted
    assert found.model_max_length == 128
    context = Tokenizer.from_folder(folder).encode(text[1]).ids.tolist()
    assert wanted[-len(context) - 1 : -1] == context
    for name in ("tokenizer.json", "vocab.json"):  # either alone is enough
        (tmp_path / "out" / name).rename(tmp_path / name)
        again = Tokenizer.from_folder(tmp_path / "out")
        assert again.encode(text[1]).ids.tolist() == context
        assert again.layout == ROBERTA_PAIR
        (tmp_path / name).rename(tmp_path / "out" / name)


@pytest.mark.parametrize("kind", ["roberta", "electra", "mpnet"])
def test_their_model_answers_as_our_folder_does(tmp_path, kind):
    """A torch model of transformers in our pipeline, and the ONNX file made from its folder."""
    folder = tiny.write_model(tmp_path / "model", kind, max_positions=40)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = QuestionAnsweringPipeline(model, tokenizer)
    ours = QuestionAnsweringPipeline(folder, threads=1)
    context = " ".join(text for text, *_ in tiny.SENTENCES)
    for _, question, _ in tiny.SENTENCES:
        one, other = (reader(question, context, top_k=3) for reader in (theirs, ours))
        assert [a["answer"] for a in one] == [a["answer"] for a in other]
        assert [a["score"] for a in one] == pytest.approx([a["score"] for a in other], abs=1e-5)
        assert all(context[a["start"] : a["end"]] == a["answer"] for a in one)
