"""The pipelines of all tasks but question answering, beside those of transformers."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
import transformers

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import EmptyInputError, InputError, MissingKeyError, ModelError
from potstill.models.named import BertForMultipleChoice, BertForSequenceClassification
from potstill.runtime.classification import Classifier
from potstill.tasks.pipelines import pipeline
from potstill.text.auto import BertTokenizer
from potstill.text.tokenizer import Tokenizer

pytestmark = pytest.mark.usefixtures("own_cache")

TEXT = "The Denver Broncos won the game in Denver, by the river."
TEXTS = [TEXT, "a small red book", "Zürich is old."]
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def model_of(path, head, **options):
    labels = {"classification": ("bad", "so", "good"), "tagging": TAGS}.get(head, ())
    return tiny.write_model(path, head=head, **{"labels": labels, **options})


def theirs(task: str, folder):
    kinds = {
        "text-classification": "ForSequenceClassification",
        "token-classification": "ForTokenClassification",
        "fill-mask": "ForMaskedLM",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(transformers, f"Bert{kinds[task]}").from_pretrained(folder)
        tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    tokenizer.model_max_length = 128
    return transformers.pipeline(task, model=model, tokenizer=tokenizer, device="cpu")


def same(found, wanted):
    """Equal but for rounding."""
    if isinstance(wanted, list):
        assert isinstance(found, list) and len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            same(one, other)
        return
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        if name == "score":
            assert found[name] == pytest.approx(float(value), abs=1e-5)
        else:
            assert found[name] == value, name


PAIR = {"text": "the king won", "text_pair": "the queen lost"}


@pytest.mark.parametrize("problem", ["", "multi-label", "regression"])
def test_text_classification_is_as_theirs(tmp_path, problem) -> None:
    labels = ("score",) if problem == "regression" else ("bad", "so", "good")
    folder = model_of(tmp_path / "m", "classification", problem=problem, labels=labels)
    ours, other = pipeline("sentiment-analysis", folder), theirs("text-classification", folder)
    for inputs, options in (
        (TEXT, {}),
        (TEXTS, {}),
        ([TEXT], {}),
        (PAIR, {}),
        ([PAIR, {"text": TEXT}], {}),
        (TEXT, {"top_k": 1}),
        (TEXT, {"top_k": None}),
        (TEXTS, {"top_k": 2}),
        (PAIR, {"top_k": None}),
        (TEXT, {"function_to_apply": "sigmoid"}),
        (TEXTS, {"function_to_apply": "softmax", "top_k": None}),
        (TEXT, {"function_to_apply": "none"}),
        (TEXT, {"truncation": True, "max_length": 8}),
    ):
        same(ours(inputs, **options), other(inputs, **options))
    streamed = ours(text for text in TEXTS * 30)
    same(list(itertools.islice(streamed, 3)), list(other(text for text in TEXTS)))


def test_one_label_without_a_problem_is_a_probability(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "classification", labels=("yes",))
    same(pipeline("text-classification", folder)(TEXT), theirs("text-classification", folder)(TEXT))


def test_options_of_the_pipeline_itself(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "classification")
    pipe = pipeline("text-classification", folder, top_k=None, batch_size=8)
    assert [len(pipe(TEXT)), len(pipe(TEXT)[0]), len(pipe(TEXTS)[0])] == [1, 3, 3]
    assert len(pipe(TEXT, top_k=2)) == 2


def test_calibrated_probabilities(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "classification")
    plain = pipeline("text-classification", folder)(TEXT)
    manifest = Manifest(task="text-classification", calibration={"temperature": 4.0})
    write_manifest(folder, manifest)
    pipe = pipeline("text-classification", folder)
    assert pipe(TEXT)[0]["score"] < plain[0]["score"]
    same(pipe(TEXT, function_to_apply="softmax"), plain)


def test_a_text_that_was_cut(tmp_path) -> None:
    pipe = pipeline("text-classification", model_of(tmp_path / "m", "classification"))
    with pytest.warns(UserWarning, match="1 of 2 texts were cut to 128 tokens"):
        pipe([TEXT, TEXT * 50])
    pipe([TEXT, TEXT * 50], truncation=True)


def test_a_model_that_reads_long_texts_whole_or_in_part(tmp_path) -> None:
    folder, long = model_of(tmp_path / "m", "classification"), TEXT * 50
    cut = pipeline("text-classification", folder)(long, truncation=True, max_length=8)
    write_manifest(folder, Manifest(task="text-classification", max_windows=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = pipeline("text-classification", folder)(long)
    assert whole[0]["score"] == pytest.approx(
        Classifier.from_options(folder).classify(long).labels[0].score, abs=1e-5
    )
    same(pipeline("text-classification", folder)(long, truncation=True, max_length=8), cut)
    write_manifest(folder, Manifest(task="text-classification", max_windows=2))
    with pytest.warns(UserWarning, match="1 of 1 texts were cut to 2 times 128 tokens"):
        pipeline("text-classification", folder)(long)


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_token_classification_is_as_theirs(tmp_path, strategy) -> None:
    folder = model_of(tmp_path / "m", "tagging", seed=3)
    ours, other = pipeline("ner", folder), theirs("token-classification", folder)
    for inputs, options in (
        (TEXT, {}),
        (TEXTS, {}),
        ([TEXT], {}),
        (TEXT, {"ignore_labels": []}),
        (TEXT, {"ignore_labels": ["O", "I-PER", "PER"]}),
        (TEXT.split(), {"is_split_into_words": True}),
        ([TEXT.split(), ["who", "won?"]], {"is_split_into_words": True, "delimiter": "  "}),
    ):
        found = ours(inputs, aggregation_strategy=strategy, **options)
        same(found, other(inputs, aggregation_strategy=strategy, **options))


def test_a_long_text_is_tagged_to_its_end(tmp_path) -> None:
    pipe = pipeline(
        "ner", model_of(tmp_path / "m", "tagging", seed=3), aggregation_strategy="simple"
    )
    text = f"{TEXT} " * 40
    found = pipe(text)
    assert found[-1]["end"] > len(text) - 80
    index = pipe(text, aggregation_strategy="none", ignore_labels=[])
    assert [one["index"] for one in index] == list(range(1, len(index) + 1))
    assert all(text[one["start"] : one["end"]].lower() == one["word"].removeprefix("##")
               for one in index)  # fmt: skip


def test_fill_mask_is_as_theirs(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "mlm")
    write_manifest(folder, Manifest(task="masked-lm"))
    ours, other = pipeline("fill-mask", folder), theirs("fill-mask", folder)
    masked = "The old king built a [MASK], by the river."
    for inputs, options in (
        (masked, {}),
        ([masked], {}),
        ([masked, "who [MASK]?"], {}),
        ("the [MASK] won the [MASK].", {"top_k": 2}),
        ([masked, "the [MASK] won the [MASK]."], {"top_k": 1}),
        (masked, {"targets": ["tower", "bridge", "##s"]}),
        (masked, {"targets": "tower", "top_k": 3}),
    ):
        same(ours(inputs, **options), other(inputs, **options))
    with pytest.warns(UserWarning, match="'z' stands in for it"):
        found = ours(masked, targets=["zebra", "tower"])
    same(found, other(masked, targets=["zebra", "tower"]))
    assert len(pipeline("fill-mask", folder, targets=["tower"])(masked)) == 1


def test_multiple_choice(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "choice")
    pipe = pipeline("multiple-choice", folder)
    item = {"prompt": "the king won", "choices": ["the game.", "the river.", "a book."]}
    found = pipe(item)
    assert [list(one) for one in found] == [["index", "text", "score", "truncated"]] * 3
    assert sum(one["score"] for one in found) == pytest.approx(1)
    assert [one["score"] for one in found] == sorted((o["score"] for o in found), reverse=True)
    assert pipe(item["prompt"], item["choices"]) == found
    assert pipe([item, item], top_k=1) == [found[:1], found[:1]]
    assert list(pipe(one for one in [item])) == [found]
    model = BertForMultipleChoice.from_pretrained(folder)
    torch_pipe = pipeline("multiple-choice", model, tokenizer=Tokenizer.from_folder(folder))
    same(torch_pipe(item), found)


def test_torch_models_and_tokenizers_of_either_package(tmp_path) -> None:
    folder = model_of(tmp_path / "m", "classification", problem="multi-label")
    wanted = pipeline("text-classification", folder)(TEXTS, top_k=None)
    model = BertForSequenceClassification.from_pretrained(folder)
    other = theirs("text-classification", folder)
    for given, tokenizer in (
        (model, BertTokenizer.from_pretrained(folder)),
        (other.model, other.tokenizer),
        (Classifier.from_options(folder), None),
        (str(folder), str(folder)),
    ):
        pipe = pipeline("text-classification", model=given, tokenizer=tokenizer)
        same(pipe(TEXTS, top_k=None), wanted)
    for task, head in (("ner", "tagging"), ("fill-mask", "mlm")):
        folder = model_of(tmp_path / head, head)
        if head == "mlm":
            write_manifest(folder, Manifest(task="masked-lm"))
        other = theirs(TASKS_OF.get(task, task), folder)
        text = "the [MASK] won."
        pipe = pipeline(task, other.model, other.tokenizer)
        same(pipe(text), pipeline(task, folder)(text))
        for tokenizer in (Tokenizer.from_folder(folder), None):
            same(pipeline(task, pipe.client, tokenizer)(text), pipe(text))


TASKS_OF = {"ner": "token-classification"}


def test_bad_input(tmp_path) -> None:
    classify = pipeline("text-classification", model_of(tmp_path / "c", "classification"))
    tag = pipeline("ner", model_of(tmp_path / "t", "tagging"))
    choose = pipeline("multiple-choice", model_of(tmp_path / "m", "choice"))
    folder = model_of(tmp_path / "f", "mlm")
    write_manifest(folder, Manifest(task="masked-lm"))
    fill = pipeline("fill-mask", folder)
    for call, error in (
        (lambda: classify(""), EmptyInputError),
        (lambda: classify(3), InputError),
        (lambda: classify([["a", "b"]]), InputError),
        (lambda: classify({"txt": "a"}), MissingKeyError),
        (lambda: classify(TEXT, top_k=0), InputError),
        (lambda: classify(TEXT, topk=2), InputError),
        (lambda: classify(TEXT, function_to_apply="tanh"), InputError),
        (lambda: tag(""), EmptyInputError),
        (lambda: tag(TEXT, aggregation_strategy="some"), InputError),
        (lambda: tag(TEXT, is_split_into_words=True), InputError),
        (lambda: choose("a prompt"), InputError),
        (lambda: choose({"prompt": "a"}), MissingKeyError),
        (lambda: choose("a", ["b"]), InputError),
        (lambda: fill("no mask"), InputError),
        (lambda: fill("a [MASK]", targets=[""]), InputError),
        (lambda: pipeline("text-classification"), InputError),
        (lambda: pipeline("text-classification", model_of(tmp_path / "x", "choice")), ModelError),
        (lambda: pipeline("ner", classify.client), InputError),
        (lambda: pipeline("ner", str(tmp_path / "t"), device="cuda:0"), InputError),
        (lambda: pipeline("summarization", str(folder)), InputError),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with pytest.raises(error, match=r"\A[^\n]+\Z"):
                call()


def test_nothing_to_do(tmp_path) -> None:
    assert pipeline("text-classification", model_of(tmp_path / "c", "classification"))([]) == []


def test_modes_are_left_alone(tmp_path) -> None:
    """A pipeline evaluates: dropout is off, whatever the model was doing."""
    folder = model_of(tmp_path / "m", "classification")
    model = BertForSequenceClassification.from_pretrained(folder).train()
    pipe = pipeline("text-classification", model, tokenizer=BertTokenizer.from_pretrained(folder))
    assert not model.training
    with torch.no_grad():
        same(pipe(TEXT), pipe(TEXT))


class Rows(torch.utils.data.Dataset):
    """A data set as people write them."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def test_data_sets_blank_texts_and_names_in_capitals(tmp_path):
    """What scripts for transformers do, beside transformers."""
    for task, head, parameters in (
        ("text-classification", "classification", {"function_to_apply": "Sigmoid"}),
        ("token-classification", "tagging", {"aggregation_strategy": "simple"}),
    ):
        folder = model_of(tmp_path / head, head)
        ours, other = pipeline(task, model=str(folder), threads=1), theirs(task, folder)
        same(list(ours(Rows(TEXTS), **parameters)), list(other(Rows(TEXTS), **parameters)))
        blank = [TEXTS[0], "", TEXTS[1]]
        same(ours(blank, **parameters), other(blank, **parameters))


def test_a_table_is_not_walked_through_by_its_columns(tmp_path):
    class Table:  # as pandas' own: its items are the names of its columns
        columns = ("text",)

        def __len__(self):
            return 1

        def __getitem__(self, name):
            return [TEXT]

        def __iter__(self):
            return iter(self.columns)

    folder = model_of(tmp_path, "classification")
    pipe = pipeline("text-classification", model=str(folder), threads=1)
    with pytest.raises(InputError, match="the text is a Table: give a string"):
        pipe(Table())
    with pytest.raises(InputError, match="top_k must be a whole number of at least 1, not '2'"):
        pipe(TEXT, top_k="2")
