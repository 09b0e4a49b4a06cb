import threading
import warnings
from types import SimpleNamespace

import pytest
import torch
import transformers

import tiny
from potstill.errors import EmptyInputError, InputError, MissingKeyError, QuestionTooLongError
from potstill.models.named import BertForQuestionAnswering
from potstill.runtime.pipelines import QuestionAnsweringPipeline
from potstill.runtime.qa import QAClient
from potstill.tasks.pipelines import pipeline
from potstill.text.tokenizer import Tokenizer

CONTEXT, QUESTION, _ = tiny.SENTENCES[1]
LONG = " ".join(f"{text} It was year {i}." for i in range(9) for text, _, _ in tiny.SENTENCES)


@pytest.fixture(scope="module")
def pipe(folder):
    return pipeline("question-answering", model=str(folder), threads=1)


@pytest.fixture(scope="module")
def expected(pipe):
    return pipe(question=QUESTION, context=CONTEXT)


def test_keys_and_types(expected):
    assert {key: type(value) for key, value in expected.items()} == {
        "score": float, "start": int, "end": int, "answer": str,
    }  # fmt: skip
    assert CONTEXT[expected["start"] : expected["end"]] == expected["answer"]


ITEM = {"question": QUESTION, "context": CONTEXT}
EXAMPLE = SimpleNamespace(question_text=QUESTION, context_text=CONTEXT, qas_id="1")


@pytest.mark.parametrize(
    "arguments",
    [
        (ITEM,),
        ([ITEM],),
        (EXAMPLE,),
        ([EXAMPLE],),
        (QUESTION, CONTEXT),
    ],
)
def test_one_input_gives_a_dictionary(pipe, expected, arguments):
    assert pipe(*arguments) == expected


@pytest.mark.parametrize(
    "keywords",
    [
        {"question": [QUESTION], "context": CONTEXT},
        {"question": [QUESTION], "context": [CONTEXT]},
        {"data": ITEM},
        {"X": [EXAMPLE]},
    ],
)
def test_so_does_one_in_keywords(pipe, expected, keywords):
    assert pipe(**keywords) == expected


@pytest.mark.parametrize(
    "keywords",
    [
        {"question": [QUESTION, QUESTION], "context": CONTEXT},
        {"question": (QUESTION, QUESTION), "context": (CONTEXT, CONTEXT)},
        {"data": [ITEM, EXAMPLE]},
    ],
)
def test_several_inputs_give_a_list(pipe, expected, keywords):
    assert pipe(**keywords) == [pytest.approx(expected)] * 2


def test_several_positional_inputs(pipe, expected):
    assert pipe([ITEM, EXAMPLE]) == pipe(ITEM, EXAMPLE) == [pytest.approx(expected)] * 2


def test_a_few_inputs_keep_all_workers_busy(pipe, expected, monkeypatch):
    together = threading.Barrier(2, timeout=20)
    run = pipe.client.session.run

    def waiting(batch):
        together.wait()  # breaks where one worker gets all of them
        return run(batch)

    monkeypatch.setattr(pipe.client, "workers", 2)
    monkeypatch.setattr(pipe.client, "session", SimpleNamespace(run=waiting))
    assert pipe([ITEM] * 4) == [pytest.approx(expected)] * 4


def test_a_generator_gives_an_iterator(pipe, expected):
    results = pipe(ITEM for _ in range(3))
    assert iter(results) is results
    assert list(results) == [pytest.approx(expected)] * 3


def test_so_does_a_data_set_of_torch(pipe, expected):
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return ITEM  # without an end of its own

    assert list(pipe(Rows())) == [expected, expected]


def test_a_dictionary_of_lists_is_a_list_of_pairs(pipe):
    questions = [QUESTION, "Who?"]
    expected = pipe(question=questions, context=[CONTEXT, LONG])
    assert pipe({"question": questions, "context": [CONTEXT, LONG]}) == expected
    shared = pipe(question=questions, context=CONTEXT)
    assert pipe({"question": questions, "context": CONTEXT}) == shared
    with pytest.raises(InputError, match="2 questions do not go with 1 contexts"):
        pipe({"question": questions, "context": [CONTEXT]})


def test_a_lone_candidate_comes_without_a_list(pipe):
    one = pipe(question=QUESTION, context="Denver", top_k=5)
    assert (one["answer"], one["start"], one["end"]) == ("Denver", 0, 6)
    several = pipe(
        [{"question": QUESTION, "context": text} for text in ("Denver", CONTEXT)], top_k=2
    )
    assert [type(found) for found in several] == [dict, list]


def test_windows_are_no_longer_than_the_model_has_positions(pipe):
    longest = pipe.client.max_positions
    expected = pipe(question=QUESTION, context=LONG, max_seq_len=longest, doc_stride=16)
    found = pipe(question=QUESTION, context=LONG, max_seq_len=9 * longest, doc_stride=16)
    assert found == expected
    for call in (pipe.client.read_many, pipe.client.logits_many):
        with pytest.raises(InputError, match=f"seq_len {longest + 1} .* {longest} positions"):
            call([(QUESTION, CONTEXT)], seq_len=longest + 1)


def test_top_k(pipe, expected):
    results = pipe(question=QUESTION, context=LONG, top_k=5)
    assert len(results) == 5
    scores = [r["score"] for r in results]
    assert scores == sorted(scores, reverse=True)
    assert [len(r) for r in pipe([ITEM, ITEM], top_k=2)] == [2, 2]
    with pytest.warns(FutureWarning, match="top_k"):
        assert len(pipe(question=QUESTION, context=LONG, topk=3)) == 3


def test_parameters_of_the_pipeline_hold_until_a_call_says_otherwise(folder):
    pipe = pipeline("question-answering", folder, top_k=2, max_answer_len=1, batch_size=8)
    assert len(pipe(ITEM)) == 2
    assert pipe(ITEM, top_k=1)["answer"] in (*CONTEXT[:-1].split(), ".")


def test_impossible_answers(pipe):
    results = pipe(question=QUESTION, context=CONTEXT, handle_impossible_answer=True, top_k=50)
    (null,) = [r for r in results if r["answer"] == ""]
    assert (null["start"], null["end"]) == (0, 0)
    assert 0 < null["score"] < 1
    assert sum(r["score"] for r in results) <= 1
    assert results == sorted(results, key=lambda r: -r["score"])
    assert all(r["answer"] for r in pipe(question=QUESTION, context=CONTEXT, top_k=50))


def test_words_are_kept_whole_unless_told_otherwise(pipe):
    item = {"question": "who", "context": "xyzzy the king"}
    answers = {r["answer"] for r in pipe(item, top_k=9, max_answer_len=1)}
    assert answers == {"xyzzy", "the", "king"}
    parts = {r["answer"] for r in pipe(item, top_k=9, max_answer_len=1, align_to_words=False)}
    assert parts == {"x", "y", "z", "the", "king"}


def test_lengths(pipe):
    for keywords in ({"max_seq_len": 40}, {"max_seq_len": 40, "doc_stride": 5}, {"doc_stride": 9}):
        result = pipe(question=QUESTION, context=LONG, **keywords)
        assert LONG[result["start"] : result["end"]] == result["answer"]
    for longest in (1, 3):
        answer = pipe(ITEM, max_answer_len=longest)["answer"]
        assert len(pipe.tokenizer.encode(answer)) <= longest


def test_a_question_is_only_cut_when_asked_to_and_says_so(pipe, expected):
    question = f"{QUESTION} {'the ' * 50}"
    n = len(pipe.tokenizer.encode(QUESTION))
    with pytest.warns(UserWarning, match=f"{n + 50} tokens was cut to max_question_len, {n}"):
        cut = pipe(question=question, context=CONTEXT, max_question_len=n)
    assert cut == pytest.approx(expected)
    assert pipe(question=question, context=CONTEXT) != pytest.approx(expected)
    assert pipe(ITEM, max_question_len=n) == expected
    with pytest.raises(QuestionTooLongError):
        pipe(question="the " * 300, context=CONTEXT)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "kind"),
    [
        ((), {"question": "", "context": CONTEXT}, EmptyInputError, ValueError),
        ((), {"question": QUESTION, "context": " "}, EmptyInputError, ValueError),
        ((), {"question": None, "context": CONTEXT}, InputError, ValueError),
        ((), {"question": 3, "context": CONTEXT}, InputError, ValueError),
        (({"question": QUESTION},), {}, MissingKeyError, KeyError),
        ((), {"question": QUESTION}, InputError, ValueError),
        ((), {}, InputError, ValueError),
        ((3,), {}, InputError, ValueError),
        (([3],), {}, InputError, ValueError),
        (("just a question",), {}, InputError, ValueError),
        ((), {"question": [QUESTION] * 2, "context": [CONTEXT]}, InputError, ValueError),
        ((ITEM,), {"top_k": 0}, InputError, ValueError),
        ((ITEM,), {"max_answer_len": 0}, InputError, ValueError),
        ((ITEM,), {"topp_k": 3}, InputError, ValueError),
        ((ITEM,), {"top_k": "2"}, InputError, ValueError),
        ((ITEM,), {"max_answer_len": 2.5}, InputError, ValueError),
        ((ITEM,), {"doc_stride": -1}, InputError, ValueError),
        ((ITEM,), {"doc_stride": 64, "max_seq_len": 32}, InputError, ValueError),
    ],
)
def test_bad_input(pipe, arguments, keywords, error, kind):
    with pytest.raises(error, match=r"\A[^\n]+\Z") as caught:
        pipe(*arguments, **keywords)
    assert isinstance(caught.value, kind)


def test_nothing_to_do(pipe):
    assert pipe([]) == []


def test_bad_construction(folder):
    with pytest.raises(InputError, match="supported: question-answering"):
        pipeline("summarization")
    for options in ({"framework": "tf"}, {"device": "cuda"}, {"torch_dtype": torch.float16}):
        with pytest.raises(InputError):
            pipeline("question-answering", folder, **options)
    with pytest.raises(InputError, match="is not a tokenizer"):
        pipeline("question-answering", folder, tokenizer=3)
    with pytest.raises(InputError, match="int is not a model of torch"):
        QuestionAnsweringPipeline(3, Tokenizer.from_folder(folder))


@pytest.mark.parametrize("options", [{"framework": "pt", "device": -1, "torch_dtype": "auto"}, {}])
def test_what_transformers_took_is_tolerated(folder, options):
    assert pipeline(model=folder, use_fast=True, num_workers=0, **options)(ITEM)["answer"]


def test_a_client_and_other_tokenizers(folder, expected):
    client = QAClient.from_options(folder)
    for tokenizer in (None, folder, str(folder), Tokenizer.from_folder(folder)):
        pipe = QuestionAnsweringPipeline(client, tokenizer)
        assert pipe(ITEM) == pytest.approx(expected)


def test_a_torch_model(folder, expected):
    model = BertForQuestionAnswering.from_pretrained(folder).train()
    pipe = QuestionAnsweringPipeline(model, Tokenizer.from_folder(folder), device="cpu")
    assert not model.training
    assert pipe(ITEM) == pytest.approx(expected, abs=1e-5)
    assert pipe(question=QUESTION, context=LONG)["answer"] in LONG
    with pytest.raises(InputError, match="tokenizer="):
        QuestionAnsweringPipeline(model)


def test_a_model_and_tokenizer_of_transformers(folder, tmp_path, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.BertForQuestionAnswering.from_pretrained(folder)
        tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    tokenizer.backend_tokenizer.enable_truncation(5)
    pipe = QuestionAnsweringPipeline(model, tokenizer)
    assert pipe(ITEM) == pytest.approx(expected, abs=1e-5)
    assert tokenizer.backend_tokenizer.truncation is not None
