import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.bundle.cache import ensure_onnx
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import (
    EmptyInputError,
    InputError,
    ModelError,
    ModelNotFoundError,
    QuestionTooLongError,
    WeightsError,
)
from potstill.records import Answer
from potstill.runtime.qa import QAClient
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch

CONTEXT = "The old king built a tower by the river Thames in London last year."
LONG = " ".join(f"{text} It was year {i}." for i in range(9) for text, _, _ in tiny.SENTENCES)
QUESTION = "Who built the tower?"


@pytest.fixture(scope="module")
def client(folder):
    return QAClient.from_options(folder, threads=1)


def same(one: Answer, other: Answer) -> bool:
    return replace(one, score=0) == replace(other, score=0) and one.score == pytest.approx(
        other.score, abs=1e-5
    )


def test_one_question(client):
    answer = client.predict(QUESTION, CONTEXT)
    assert isinstance(answer, Answer)
    assert CONTEXT[answer.start : answer.end] == answer.text != ""
    assert 0 < answer.score < 1
    assert answer.source == 0
    assert type(answer.score) is float
    assert type(answer.start) is type(answer.end) is int


def test_several_answers_never_overlap(client):
    answers = client.predict(QUESTION, LONG, top_k=20)
    assert len(answers) == 20
    assert same(answers[0], client.predict(QUESTION, LONG))
    ranges = sorted((a.start, a.end) for a in answers)
    assert all(end <= start for (_, end), (start, _) in zip(ranges, ranges[1:], strict=False))
    scores = [a.score for a in answers]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1


def test_several_contexts_are_one_body_of_text(client):
    texts = [CONTEXT, "Paris is the large city of the Seine.", LONG]
    answers = client.predict(QUESTION, texts, top_k=50)
    assert {a.source for a in answers} == {0, 1, 2}
    assert all(texts[a.source][a.start : a.end] == a.text for a in answers)
    assert sum(a.score for a in answers) <= 1
    alone = client.predict(QUESTION, CONTEXT)
    among = next(a for a in answers if a.source == 0)
    assert (among.start, among.end) == (alone.start, alone.end)
    assert among.score < alone.score


def test_several_questions(client):
    questions = [question for _, question, _ in tiny.SENTENCES]
    prepared = client.prepare(LONG)
    expected = [client.predict(question, LONG) for question in questions]
    for found in (client.predict(questions, LONG), client.predict(tuple(questions), prepared)):
        assert all(map(same, found, expected))
    many = client.predict(questions, LONG, top_k=2)
    assert [len(answers) for answers in many] == [2] * len(questions)
    assert client.predict([], LONG) == []


def test_pairs(client):
    prepared = client.prepare(CONTEXT)
    pairs = [(QUESTION, CONTEXT), ("Who won?", [LONG, prepared]), ("What?", prepared)] * 30
    found = client.predict_many(iter(pairs))
    assert len(found) == 90
    for answer, (question, context) in zip(found, pairs, strict=True):
        assert same(answer, client.predict(question, context))


def test_a_list_of_questions_with_a_list_of_contexts_is_refused(client):
    with pytest.raises(InputError, match="predict_many"):
        client.predict([QUESTION], [CONTEXT])


def test_a_prepared_context_knows_its_length(client):
    assert len(client.prepare("The king.")) == 3


@given(
    question=st.text(st.sampled_from("who the king ?é\u0301\U0001f451"), min_size=1, max_size=40),
    context=st.text(max_size=300)
    | st.text(st.sampled_from("king \x00\ud800é\u0301א\U0001f451."), max_size=300),
    top_k=st.integers(1, 4),
    words=st.booleans(),
)
def test_any_text_gives_an_exact_answer_or_a_typed_error(client, question, context, top_k, words):
    try:
        answers = client.read(question, context, top_k=top_k, align_to_words=words).answers
    except EmptyInputError:
        empty = [t for t in (question, context) if not len(client.tokenizer.encode(t))]
        assert empty
        return
    assert answers or client.prepare(context).bare.all()
    for answer in answers:
        assert context[answer.start : answer.end] == answer.text != ""


@pytest.mark.parametrize(
    ("context", "word"),
    [
        ("the kin\u0301g\u0301 won", "kin\u0301g\u0301"),
        ("המלך ניצח אתמול", None),
        ("the \U0001f468\u200d\U0001f469\u200d\U0001f467 won", None),
        ("the\x00 king\x00 won", None),
        ("the \ud83d king", None),
        ("城市在河边", None),
    ],
)
def test_unusual_text(client, context, word):
    answers = client.predict("who won", context, top_k=10)
    assert all(context[a.start : a.end] == a.text for a in answers)
    if word:
        singles = client.predict(
            "who won", context, top_k=9, max_answer_tokens=1, align_to_words=True
        )
        assert word in {a.text for a in singles}


def test_a_letter_keeps_its_combining_marks(client):
    for answer in client.predict("who", "the king\u0301\u0302 won", top_k=9, max_answer_tokens=1):
        assert answer.text in ("the", "king\u0301\u0302", "won")


@given(random=st.randoms(), budget=st.sampled_from([1, 200, 5000]), workers=st.integers(1, 3))
def test_order_batching_and_workers_make_no_difference(client, random, budget, workers):
    pairs = [(question, text * (i + 1)) for i, (text, question, _) in enumerate(tiny.SENTENCES)]
    alone = {pair: client.predict(*pair) for pair in pairs}
    random.shuffle(pairs)
    readings = client.read_many(pairs, workers=workers, token_budget=budget)
    for pair, reading in zip(pairs, readings, strict=True):
        assert same(reading.answers[0], alone[pair])


def test_a_batch_equals_its_rows_alone(folder):
    session = OnnxSession(ensure_onnx(folder), threads=1)
    generator = np.random.default_rng(0)
    lengths = [40, 7, 23, 40, 3]
    ids = np.zeros((5, 40), np.int64)
    mask = np.zeros((5, 40), np.int64)
    types = generator.integers(0, 2, (5, 40))
    for row, n in enumerate(lengths):
        ids[row, :n] = generator.integers(5, len(tiny.VOCABULARY), n)
        mask[row, :n] = 1
    together = session.run(Batch(ids, mask, types))
    for row, n in enumerate(lengths):
        part = np.s_[row : row + 1, :n]
        alone = session.run(Batch(ids[part], mask[part], types[part]))
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[row, :n], single[0], atol=1e-5)


def test_many_threads_share_one_client(client):
    pairs = [
        (q, f"{'The queen won. ' * (i % 9)}{t}") for i in range(50) for t, q, _ in tiny.SENTENCES
    ]
    expected = [client.predict(*pair, top_k=2) for pair in pairs]
    mixed = list(range(len(pairs)))
    random.Random(0).shuffle(mixed)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: client.predict(*pairs[i], top_k=2), mixed))
    for i, answers in zip(mixed, found, strict=True):
        assert all(map(same, answers, expected[i]))


def test_a_stream_is_read_as_it_comes(client):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield QUESTION, CONTEXT

    for workers in (1, 2):
        taken.clear()
        stream = client.read_many(endless(), workers=workers)
        assert next(stream).answers
        stream.close() if hasattr(stream, "close") else None
        assert len(taken) < 1000


def test_windows_left_out_are_counted(client):
    text = "The queen wrote a small red book. " * 60 + "The king built Paris. " * 3
    question = "Who built Paris?"
    whole = client.read(question, text)
    assert whole.n_read == whole.n_windows > 3
    part = client.read(question, text, max_windows=1)
    assert (part.n_read, part.n_windows) == (1, whole.n_windows)
    assert part.answers[0].start > 1500


def test_a_megabyte_is_ranked_and_read(client):
    text = "The queen wrote a small red book. " * 30_000 + "The king built Paris."
    reading = client.read("Who built Paris?", text, max_windows=2)
    assert reading.n_windows > 3000
    assert reading.n_read == 2
    answer = reading.answers[0]
    assert text[answer.start : answer.end] == answer.text


def test_align_to_words(client):
    context = "xyzzy the king"
    plain = client.predict("who", context, top_k=9, max_answer_tokens=1)
    assert {"x", "y", "z"} >= {a.text for a in plain} - {"the", "king"}
    whole = client.predict("who", context, top_k=9, max_answer_tokens=1, align_to_words=True)
    assert sorted(a.text for a in whole) == ["king", "the", "xyzzy"]


def test_max_answer_tokens(client):
    for most in (1, 2, 5):
        for answer in client.predict(QUESTION, LONG, top_k=9, max_answer_tokens=most):
            assert len(client.tokenizer.encode(answer.text)) <= most


def test_no_answer_wins_strictly_above_the_threshold(client):
    odds = client.read(QUESTION, CONTEXT).null_odds
    for threshold, wins in ((odds - 0.01, True), (odds, False), (odds + 0.01, False)):
        reading = client.read(QUESTION, CONTEXT, no_answer=True, null_threshold=threshold)
        assert reading.is_null is wins
        assert reading.null_odds == pytest.approx(odds)
        assert reading.spans
        assert reading.null_score > 0
        assert (reading.answers == []) is wins
    assert not client.read(QUESTION, CONTEXT, null_threshold=odds - 9).is_null


def test_no_answer_is_none_or_an_empty_list(folder):
    client = QAClient.from_options(folder, no_answer=True, null_threshold=-1e6)
    assert client.predict(QUESTION, CONTEXT) is None
    assert client.predict(QUESTION, CONTEXT, top_k=2) == []
    assert client.predict([QUESTION], CONTEXT) == [None]
    assert client.predict(QUESTION, CONTEXT, no_answer=False) is not None


def test_a_null_threshold_of_a_model_that_cannot_refuse(tmp_path):
    folder = tiny.write_model(tmp_path)
    with pytest.raises(InputError, match="was not trained to say that there is no answer: omit it"):
        QAClient.from_options(folder, null_threshold=1.0)
    assert QAClient.from_options(folder, null_threshold=1.0, no_answer=True).options.no_answer


def test_the_null_logit_is_the_first_tokens(client):
    reading = client.read(QUESTION, CONTEXT, no_answer=True)
    best = reading.spans[0]
    ratio = reading.null_score / best.score
    assert ratio == pytest.approx(np.exp(reading.null_odds), rel=1e-4)


@pytest.mark.parametrize("blank", ["", "  \n\t", "\x00", "\u200b"])
def test_empty_input(client, blank):
    with pytest.raises(EmptyInputError, match="the question"):
        client.predict(blank, CONTEXT)
    with pytest.raises(EmptyInputError, match="the context"):
        client.predict(QUESTION, blank)
    with pytest.raises(EmptyInputError, match="the context"):
        client.prepare(blank)
    with pytest.raises(EmptyInputError, match="context 1 of the question"):
        client.predict(QUESTION, [CONTEXT, blank])
    pairs = [(QUESTION, CONTEXT)] * 70 + [(blank, CONTEXT)]
    with pytest.raises(EmptyInputError, match="question 70 "):
        client.predict_many(pairs)
    with pytest.raises(EmptyInputError, match="no context"):
        client.predict(QUESTION, [])


def test_a_question_too_long(client):
    with pytest.raises(QuestionTooLongError, match="200 tokens.*128"):
        client.predict("who " * 200, CONTEXT)
    with pytest.raises(QuestionTooLongError, match="question 1 has"):
        client.predict([QUESTION, "who " * 200], CONTEXT)


@pytest.mark.parametrize("value", [None, 3, b"text", object()])
def test_what_is_no_text_is_refused(client, value):
    with pytest.raises(InputError, match="must be a"):
        client.predict(QUESTION, [value])
    with pytest.raises(InputError):
        client.predict_many([(value, CONTEXT)])
    with pytest.raises(InputError):
        client.predict(QUESTION, value)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ({"question": QUESTION, "context": CONTEXT}, "pair 1 is a dict: give"),
        ("ab", "pair 1 is a str: give"),
        ((QUESTION, CONTEXT, CONTEXT), "pair 1 has 3 parts: give"),
        ((QUESTION, {"text": CONTEXT}), "a context must be a string, not dict"),
    ],
)
def test_what_could_be_taken_apart_is_not_a_pair(client, pair, says):
    with pytest.raises(InputError, match=says):
        client.predict_many([(QUESTION, CONTEXT), pair])


@pytest.mark.parametrize(
    "options",
    [{"top_k": 0}, {"max_answer_tokens": 0}, {"workers": 0}, {"max_windows": 0}, {"colour": 1}],
)
def test_options_out_of_range(client, options):
    with pytest.raises(InputError):
        client.read_many([(QUESTION, CONTEXT)], **options)


@pytest.mark.parametrize(
    "options",
    [
        {"seq_len": 500},
        {"seq_len": 0},
        {"stride": -1},
        {"threads": 0},
        {"token_budget": 0},
        {"precision": "int4"},
        {"temperature": 0},
        {"temperature": float("nan")},
    ],
)
def test_client_options_out_of_range(folder, options):
    with pytest.raises(InputError):
        QAClient.from_options(folder, **options)


def test_options_default_to_the_manifest(tmp_path):
    folder = tiny.write_model(tmp_path)
    assert QAClient.from_options(folder).options.seq_len == 128  # the model's positions
    manifest = Manifest(seq_len=64, stride=16, max_answer_tokens=5, no_answer=True)
    write_manifest(folder, manifest)
    options = QAClient.from_options(folder).options
    assert (options.seq_len, options.stride, options.max_answer_tokens) == (64, 16, 5)
    assert options.no_answer
    assert QAClient.from_options(folder, seq_len=100, no_answer=False).options.seq_len == 100


def test_questions_are_mended_where_the_manifest_says_so(tmp_path):
    folder = tiny.write_model(tmp_path)
    bare = QUESTION.rstrip("?")
    as_typed = QAClient.from_options(folder)
    assert as_typed.predict(bare, CONTEXT) != as_typed.predict(QUESTION, CONTEXT)
    write_manifest(folder, Manifest(tidy_questions=True))
    client = QAClient.from_options(folder)
    wanted = client.predict(QUESTION, CONTEXT)
    for typed in (bare, f"{bare} ", f"{bare}\r\n"):
        assert client.predict(typed, CONTEXT) == wanted
        assert client.highlight(typed, CONTEXT) == client.highlight(QUESTION, CONTEXT)
    mistyped = QUESTION.replace("tower", "towre")
    assert as_typed.predict(mistyped, CONTEXT) != wanted
    assert client.predict(mistyped, CONTEXT) == client.predict(mistyped, [CONTEXT]) == wanted
    for other in (f"{bare}.", f"{bare}…", f"{bare}!", f"{bare}？"):  # noqa: RUF001
        assert client.predict(other, CONTEXT) == as_typed.predict(other, CONTEXT)


def test_a_temperature_changes_the_scores_alone(tmp_path):
    folder = tiny.write_model(tmp_path)
    plain = QAClient.from_options(folder)
    write_manifest(folder, Manifest(calibration={"temperature": 4.0}))
    client = QAClient.from_options(folder)
    assert (plain.options.temperature, client.options.temperature) == (1.0, 4.0)
    assert QAClient.from_options(folder, temperature=2.0).options.temperature == 2.0
    one, other = (c.predict(QUESTION, LONG, top_k=5) for c in (plain, client))
    assert [replace(a, score=0) for a in one] == [replace(a, score=0) for a in other]
    ratio = [a.score / one[0].score for a in one]
    flatter = [a.score / other[0].score for a in other]
    assert flatter == pytest.approx([r ** (1 / 4) for r in ratio], rel=1e-3)
    same_call = client.read(QUESTION, LONG, top_k=5, temperature=1.0)
    assert [a.score for a in same_call.answers] == pytest.approx([a.score for a in one])


@pytest.mark.parametrize("workers", [1, 2])
def test_kept_logits_are_searched_as_often_as_one_likes(client, workers):
    asked = []
    session = client.session
    counting = QAClient(client.tokenizer, session, client.options)
    counting.session = type(
        "Counting",
        (),
        {"run": lambda _, batch: asked.append(len(batch.input_ids)) or session.run(batch)},
    )()
    pairs = [(QUESTION, CONTEXT), ("Who won?", LONG), (QUESTION, [CONTEXT, LONG])] * 30
    said = list(counting.logits_many(pairs, workers=workers))
    n_windows = sum(asked)
    for options in (
        client.options,
        replace(client.options, no_answer=True, null_threshold=2.0, temperature=3.0, top_k=3),
        replace(client.options, align_to_words=True, max_answer_tokens=2),
    ):
        expected = QAClient(client.tokenizer, session, options).read_many(pairs)
        for one, other in zip(said, expected, strict=True):
            found = one.search(options)
            assert replace(found, spans=()) == replace(other, spans=())
            assert found.spans == other.spans
    assert sum(asked) == n_windows == sum(one.n_windows for one in said)


def test_models_that_cannot_be_used(tmp_path, folder):
    with pytest.raises(ModelNotFoundError):
        QAClient.from_options(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError, match="potstill export"):
        QAClient.from_options(folder, precision="fp16")
    headless = tiny.write_model(tmp_path / "headless", head=False)
    with pytest.raises(WeightsError):
        QAClient.from_options(headless)
    other = tiny.write_model(tmp_path / "other")
    write_manifest(other, Manifest(task="tagging"))
    with pytest.raises(ModelError, match="tagging"):
        QAClient.from_options(other)


def test_distilbert_has_no_token_types(tmp_path):
    client = QAClient.from_options(tiny.write_model(tmp_path, "distilbert"))
    answer = client.predict(QUESTION, CONTEXT)
    assert CONTEXT[answer.start : answer.end] == answer.text


def test_a_tokenizer_with_more_tokens_than_the_model(tmp_path):
    folder = tiny.write_model(tmp_path, vocab_size=50)
    with pytest.raises(ModelError, match="could not be run"):
        QAClient.from_options(folder).predict(QUESTION, "xyz")
