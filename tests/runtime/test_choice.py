import numpy as np
import pytest

import tiny
from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import EmptyInputError, InputError
from potstill.models.choice import ChoiceModel
from potstill.runtime.choice import ChoiceOptions, Chooser
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer

PROMPT = "The old king"
CHOICES = ["built a tower.", "won the game in Denver.", "is a small red book."]


@pytest.fixture(
    scope="module", params=["bert", "distilbert", "roberta", "camembert", "electra", "mpnet"]
)
def folder(request, tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp(request.param), request.param, head="choice")


@pytest.fixture(scope="module")
def chooser(folder):
    return Chooser.from_options(folder, threads=1)


class Ramp:
    """Scores each row by its number of tokens."""

    def run(self, batch):
        return (batch.attention_mask.sum(-1, keepdims=True).astype(np.float32),)


@pytest.fixture
def ramp(tmp_path):
    tiny.write_tokenizer(tmp_path)
    return Chooser(Tokenizer.from_folder(tmp_path), Ramp(), ChoiceOptions(seq_len=16))


def test_best_first_and_one_in_sum(chooser):
    found = chooser.choose(PROMPT, CHOICES)
    assert [CHOICES[score.index] for score in found] == [score.text for score in found]
    scores = [score.score for score in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert not any(score.truncated for score in found)


def test_one_prompt_is_answered_as_among_many(chooser):
    asked = [(PROMPT, CHOICES), ("The queen", CHOICES[:2]), ("In London the queen", CHOICES[1:])]
    for (prompt, choices), among in zip(asked, chooser.choose_many(asked), strict=True):
        alone = chooser.choose(prompt, choices)
        assert [score.index for score in alone] == [score.index for score in among]
        assert [s.score for s in alone] == pytest.approx([s.score for s in among], abs=1e-5)
    assert chooser.pick_many(asked) == [found[0].index for found in chooser.choose_many(asked)]


def test_torch_and_onnx_agree(folder, chooser):
    session = TorchSession(ChoiceModel.from_pretrained(folder), LOGITS)
    other = Chooser(chooser.tokenizer, session, chooser.options)
    one, two = (c.score_many([(PROMPT, CHOICES)])[0] for c in (chooser, other))
    assert [s.score for s in one] == pytest.approx([s.score for s in two], abs=1e-5)


def test_what_is_too_long_says_so(ramp):
    found = ramp.choose("the king", ["won", "the " * 40])
    assert [(score.index, score.truncated) for score in found] == [(1, True), (0, False)]
    assert ramp.choose("king " * 200_000, ["won", "lost"])[0].truncated


def test_equal_scores_keep_their_order(ramp):
    found = ramp.choose("the king", ["won", "lost", "won"])
    assert [score.index for score in found] == [0, 1, 2]
    assert ramp.pick_many([("the king", ["won", "lost"])]) == [0]


def test_blank_choices_can_be_scored_in_data(ramp):
    assert [s.index for s in ramp.score_many([("the king", ["", "won"])])[0]] == [0, 1]


@pytest.mark.parametrize(
    ("prompt", "choices", "error", "says"),
    [
        ("", ["a", "b"], EmptyInputError, "the prompt is empty"),
        ("p", ["a", " "], EmptyInputError, "choice 1 of the prompt is empty"),
        ("p", ["a"], InputError, "there are 1 choices for the prompt: give at least two"),
        ("p", [], InputError, "there are 0 choices"),
        ("p", "ab", InputError, "choices of the prompt are a str: give"),
        ("p", ["a", 2], InputError, "choice 1 of the prompt is a int, not a string"),
        (None, ["a", "b"], InputError, "the prompt is a NoneType"),
    ],
)
def test_bad_input(ramp, prompt, choices, error, says):
    with pytest.raises(error, match=says):
        ramp.choose(prompt, choices)


def test_options(tmp_path):
    tiny.write_model(tmp_path, head="choice")
    assert Chooser.from_options(tmp_path, threads=1).options.seq_len == 128
    write_manifest(tmp_path, Manifest(task="multiple-choice", seq_len=64))
    assert Chooser.from_options(tmp_path, threads=1).options.seq_len == 64
    with pytest.raises(InputError, match="at least 8"):
        Chooser.from_options(tmp_path, seq_len=4)
