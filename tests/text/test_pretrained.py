"""The tokenizer door without torch and without Hugging Face."""

import subprocess
import sys

import numpy as np
import pytest

import potstill
import tiny
from potstill.errors import InputError, TokenizerError

BLOCK = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Wall())
import potstill
tokenizer = potstill.AutoTokenizer.from_pretrained(sys.argv[1])
print(tokenizer("the king won", return_tensors="np")["input_ids"].tolist())
print(potstill.AutoConfig.from_pretrained(sys.argv[1]).hidden_size)
try:
    tokenizer("the king won", return_tensors="pt")
except potstill.errors.MissingExtraError as error:
    print(error)
"""


@pytest.fixture
def tokenizer(tmp_path):
    return potstill.BertTokenizer.from_pretrained(tiny.write_model(tmp_path / "model"))


def test_it_works_without_torch(tmp_path):
    folder = tiny.write_model(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ids, width, missing = done.stdout.splitlines()
    assert ids.startswith("[[2, ") and width == "16"
    assert missing == "return_tensors=\"pt\" needs torch: pip install 'potstill[train]'"


def test_the_longest_row_is_the_models_where_no_file_says(tokenizer):
    assert tokenizer.model_max_length == 128
    text = "the king won " * 100
    assert len(tokenizer(text, truncation=True)["input_ids"]) == 128
    assert len(tokenizer(text)["input_ids"]) == 302


def test_the_class_is_that_of_the_model_where_no_file_names_one(tmp_path):
    folder = tiny.write_model(tmp_path, "distilbert")
    (folder / "tokenizer_config.json").write_text("{}")
    assert type(potstill.AutoTokenizer.from_pretrained(folder)) is potstill.DistilBertTokenizer


def test_offsets_are_those_of_the_callers_text(tokenizer):
    text = "Zürich 🏔 won\ud800 the game"
    row = tokenizer(text, return_offsets_mapping=True)
    cut = [text[a:b] for a, b in row["offset_mapping"] if b > a]
    assert cut[-3:] == ["won", "the", "game"] or cut[-2:] == ["the", "game"]


def test_rows_without_texts_know_no_words(tokenizer):
    padded = tokenizer.pad([{"input_ids": [2, 9, 3]}, {"input_ids": [2, 3]}], return_tensors="np")
    assert np.array_equal(padded["attention_mask"], [[1, 1, 1], [1, 1, 0]])
    with pytest.raises(InputError, match="no words or offsets"):
        padded.word_ids()
    with pytest.raises(InputError, match="need input_ids; there is labels"):
        tokenizer.pad([{"labels": 1}])


def test_missing_files_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(TokenizerError, match="neither tokenizer.json nor vocab.txt"):
        potstill.AutoTokenizer.from_pretrained(tmp_path)


def test_tokens_are_those_of_the_text_alone():
    tokenizer = potstill.AutoTokenizer.from_pretrained("default")
    assert tokenizer("the king won")["input_ids"][0] == tokenizer.cls_token_id
    assert tokenizer.tokenize("the king won") == ["the", "king", "won"]


def test_a_text_that_is_cut_keeps_a_token(tokenizer):
    pair = ("the king won", "the game")
    row = tokenizer(*pair, truncation="only_first", max_length=6)
    assert len(row["input_ids"]) == 6  # three special ones, one of the first and the second whole
    with pytest.raises(InputError, match="more than truncation 'only_first' can take"):
        tokenizer(*pair, truncation="only_first", max_length=5)


def test_a_sentencepiece_model_of_more_than_32_mb_is_refused_unread(tmp_path):
    from potstill.text.sentencepiece import read_pieces

    file = tmp_path / "spm.model"
    with file.open("wb") as handle:
        handle.truncate(2**25 + 1)
    with pytest.raises(TokenizerError, match="it has more than 33,554,432 bytes"):
        read_pieces(file, "DebertaV2")
