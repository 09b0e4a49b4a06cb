"""What holds for the client of every task, and for the verb that asks it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tiny
from potstill import Chooser, Classifier, Filler, QAClient, Tagger
from potstill.bundle.heads import HEADS
from potstill.cli import main
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.runtime import client as client_module
from potstill.runtime.client import Client
from potstill.runtime.opening import Opened


@dataclass(frozen=True)
class Case:
    """A task's client and what it is asked."""

    client: type[Client[Any]]
    items: list[Any]
    blank: Any
    many: str
    one: Callable[[Any, Any], Any]
    """Asks for one item alone."""
    verb: tuple[str, ...]


TEXT = "Denver Broncos won the game in Denver."
CASES = {
    "qa": Case(
        QAClient,
        [("Who won?", TEXT), ("What was built?", "The old king built a tower. " * 9)],
        ("Who?", " "),
        "predict_many",
        lambda c, item: c.predict(*item),
        ("ask", "Who won?", "--context", TEXT),
    ),
    "classification": Case(
        Classifier, ["good", (TEXT, "the king")], " ", "classify_many",
        lambda c, item: c.classify_many([item])[0], ("classify", TEXT),
    ),
    "tagging": Case(
        Tagger, [TEXT, "The queen wrote. " * 30], "", "tag_many",
        lambda c, item: c.tag(item), ("tag", TEXT),
    ),
    "choice": Case(
        Chooser, [("The king", ["won.", "lost the game."]), ("A", ["b", "c", "d"])],
        ("The king", ["won.", ""]), "choose_many",
        lambda c, item: c.choose(*item), ("choose", "The king", "won.", "lost."),
    ),
    "mlm": Case(
        Filler, ["The [MASK] won.", "the " * 200 + "[MASK] [MASK]"], "", "fill_many",
        lambda c, item: c.fill(item), ("fill", "The [MASK] won."),
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def head(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def case(head) -> Case:
    return CASES[head]


@pytest.fixture(scope="module")
def folder(head, tmp_path_factory):
    labels = ("O", "B-x", "I-x") if head in ("classification", "tagging") else ()
    return tiny.write_model(tmp_path_factory.mktemp(head), head=head, labels=labels)


@pytest.fixture(scope="module")
def client(case, folder):
    return case.client.from_options(folder, threads=1)


def plain(value: Any) -> Any:
    """An answer as lists of plain values."""
    if isinstance(value, (list, tuple)):
        return [plain(own) for own in value]
    return plain(list(value.to_dict().values())) if hasattr(value, "to_dict") else value


def same(found: Any, expected: Any) -> None:
    found, expected = plain(found), plain(expected)
    assert _shape(found) == _shape(expected)
    assert np.allclose(_floats(found), _floats(expected), atol=1e-5)


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        return [_shape(own) for own in value]
    return None if isinstance(value, float) else value


def _floats(value: Any) -> list[float]:
    if isinstance(value, list):
        return [number for own in value for number in _floats(own)]
    return [value] if isinstance(value, float) else []


def test_every_task_has_a_case():
    assert CASES.keys() == {name for name, head in HEADS.items() if head.task}


def test_a_list_a_tuple_and_a_stream_are_one(client, case):
    many = getattr(client, case.many)
    expected = [case.one(client, item) for item in case.items]
    for given in (case.items, tuple(case.items), iter(case.items), (i for i in case.items)):
        same(many(given), expected)
    same(many(case.items * 40, workers=2), expected * 40)
    assert many([]) == many(iter(())) == []


@pytest.mark.parametrize("given", ["good", b"good", {"good": 1}, 3, None])
def test_a_single_text_is_not_a_list_of_letters(client, case, given):
    single = case.many.removesuffix("_many")
    says = (
        f"{case.many} takes a list .* not a {type(given).__name__}: give a single one to {single}"
    )
    with pytest.raises(InputError, match=says):
        getattr(client, case.many)(given)


@pytest.mark.parametrize("item", [{"question": "who?", "context": "A king."}, {"text": 1}, 3, None])
def test_an_item_of_another_form_is_refused(client, case, item):
    with pytest.raises(InputError):
        list(getattr(client, case.many)([item]))


def test_a_blank_item_is_named_by_its_number(client, case):
    many = getattr(client, case.many)
    with pytest.raises(EmptyInputError, match=" is empty"):
        many([case.blank])
    with pytest.raises(EmptyInputError, match=r"\b1\b.* is empty"):
        many([case.items[0], case.blank])


def test_the_same_options_for_all(client, case, folder):
    for options in ({"token_budget": 0}, {"token_budget": -1}, {"workers": 0}, {"threads": 0}):
        with pytest.raises(InputError, match="must be at least 1"):
            case.client.from_options(folder, **options)
    with pytest.raises(InputError, match="more than the 128 positions"):
        case.client.from_options(folder, seq_len=129)
    with pytest.raises(InputError, match="seq_len must be at least"):
        case.client.from_options(folder, seq_len=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'thread'"):
        case.client.from_options(folder, thread=1)
    with pytest.raises(InputError, match="workers must be at least 1"):
        getattr(client, case.many)(case.items, workers=0)


def batches(client: Client[Any], case: Case) -> list[int]:
    """Rows of each batch of a call."""
    sizes: list[int] = []

    class Counting:
        def run(self, batch):
            sizes.append(len(batch.input_ids))
            return client.session.run(batch)

    getattr(client.using(session=Counting()), case.many)(case.items[:1] * 6)
    return sizes


def test_the_budget_counts_for_every_client(client, case):
    assert max(batches(client, case)) > 1
    alone = client.using(options=replace(client.options, token_budget=1))
    assert set(batches(alone, case)) == {1}


def test_a_measured_budget_is_used(case, folder, monkeypatch):
    def measured(*arguments, **how):
        return replace(opened(*arguments, **how), measured_budget=77)

    opened: Callable[..., Opened] = client_module.open_model
    monkeypatch.setattr(client_module, "open_model", measured)
    assert case.client.from_options(folder).options.token_budget == 77
    assert case.client.from_options(folder, token_budget=5).options.token_budget == 5


def test_a_pickled_client_is_opened_again(client, case):
    again = pickle.loads(pickle.dumps(client))
    assert (type(again), again.options) == (type(client), client.options)
    same(getattr(again, case.many)(case.items), getattr(client, case.many)(case.items))
    with pytest.raises(InputError, match="open it with from_options"):
        pickle.dumps(client.using())


def test_damaged_weights_are_not_answered_from(client, case):
    class Damaged:
        def run(self, batch):
            return tuple(logits * np.nan for logits in client.session.run(batch))

    with pytest.raises(ModelError, match="NaN or infinite logits: the weights are damaged"):
        getattr(client.using(session=Damaged()), case.many)(case.items)


def test_a_model_of_another_task_is_refused_at_once(head, case, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("POTSTILL_CACHE", str(cache))
    other = "tagging" if head == "classification" else "classification"
    folder = tiny.write_model(tmp_path / "other", head=other, labels=("O", "B-x"))
    says = f"other is a model for {HEADS[other].task}, not for {HEADS[head].task}: name another"
    with pytest.raises(ModelError, match=says):
        case.client.from_options(folder)
    done = CliRunner().invoke(main, [*case.verb, "--model", str(folder)])
    assert done.exit_code == 1
    assert done.stderr.startswith("potstill: error: ") and says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not cache.exists()  # nothing was exported first


def test_a_bare_encoder_says_how_to_come_by_a_head(head, case, tmp_path):
    bare = tiny.write_model(tmp_path, head=None)
    with pytest.raises(ModelError, match="has no .* head: "):
        case.client.from_options(bare)


def test_a_verb_opens_and_answers(case, folder):
    done = CliRunner().invoke(main, [*case.verb, "--model", str(folder), "--json"])
    assert done.exit_code == 0, done.output
