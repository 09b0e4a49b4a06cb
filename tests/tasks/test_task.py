"""What every task's object holds together."""

import pytest

import potstill
import tiny
from potstill.bundle.heads import TASKS as NAMES
from potstill.errors import InputError
from potstill.tasks.pipelines import pipeline
from potstill.tasks.table import TASKS, named, task_of
from potstill.tasks.task import late


def test_every_head_with_a_task_has_an_object():
    assert TASKS.keys() == NAMES.keys()
    assert [task.head for task in TASKS.values()] == list(TASKS)


@pytest.fixture(params=TASKS.values(), ids=TASKS)
def task(request):
    return request.param


def test_what_is_named_is_there(task):
    assert named(task.name) is task
    assert task.client.head == task.head
    assert late(task.pipeline[1]).task == task.pipeline[0]
    assert hasattr(potstill, task.card.auto)
    if task.served:
        assert late(task.served).task == task.name


def test_options_are_those_of_the_client(task):
    assert task.takes("seq_len")
    assert not task.takes("anything")


def test_a_text_is_a_row_of_so_many_tokens(task, tmp_path):
    labels = ("O", "B-x") if task.card.labels else ()
    folder = tiny.write_model(tmp_path, head=task.head, labels=labels)
    client = task.client.from_options(folder)
    rows = []

    class Counting:
        def run(self, batch):
            rows.append(int(batch.attention_mask.sum(-1).max()))
            return client.session.run(batch)

    text = " ".join(["the king won"] * 10)
    task.ask(client.using(session=Counting()), [task.item(client, text)])
    assert max(rows) - 1 <= 30 + task.extra_tokens(client.tokenizer) <= max(rows) + 1


def test_a_folder_knows_its_task(tmp_path):
    folder = tiny.write_model(tmp_path, head="tagging", labels=("O", "B-x"))
    assert task_of(folder).name == "token-classification"


def test_pipelines_know_the_names_of_all():
    with pytest.raises(InputError, match="supported: question-answering, text-classification, sen"):
        pipeline("translation")
    with pytest.raises(InputError, match="no model for ner ships"):
        pipeline("ner")
