"""What every task's object holds together."""

import pytest

import potstill
import task_contract as contract
import tiny
from potstill.bundle.heads import HEADS
from potstill.errors import InputError
from potstill.tasks.pipelines import pipeline
from potstill.tasks.table import TASKS, task_of


def test_every_head_with_a_task_has_an_object():
    assert TASKS.keys() == {name for name, head in HEADS.items() if head.task}
    assert [task.head for task in TASKS.values()] == list(TASKS)


@pytest.fixture(params=TASKS.values(), ids=TASKS)
def task(request):
    return request.param


def test_it_holds_to_the_contract(task, tmp_path):
    contract.check_names(task)
    assert hasattr(potstill, task.card.auto)
    labels = ("O", "B-x") if task.card.labels else ()
    contract.check_row(task, tiny.write_model(tmp_path, head=task.head, labels=labels))


def test_a_folder_knows_its_task(tmp_path):
    folder = tiny.write_model(tmp_path, head="tagging", labels=("O", "B-x"))
    assert task_of(folder).name == "token-classification"


def test_pipelines_know_the_names_of_all():
    with pytest.raises(InputError, match="supported: question-answering, text-classification, sen"):
        pipeline("translation")
    with pytest.raises(InputError, match="no model for ner ships"):
        pipeline("ner")
