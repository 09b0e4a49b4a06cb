"""The notebook on distilling DistilBERT: its tokenizers, models and loss, with the import changed.

Its trainer and its features come from a package of its author's that cannot be had any more; what
stands in for them is said where it is used.
"""

from __future__ import annotations

import pytest
import torch
import transformers

TOKENIZERS = """
from transformers import (AutoTokenizer, AutoModelForQuestionAnswering,
                          default_data_collator, QuestionAnsweringPipeline)

teacher_model_checkpoint = "bert-base-uncased"
teacher_tokenizer = AutoTokenizer.from_pretrained(teacher_model_checkpoint)
decoded = teacher_tokenizer.decode(train_ds[0]['input_ids'], skip_special_tokens=True)
distilbert_checkpoint = "distilbert-base-uncased"
distilbert_tokenizer = AutoTokenizer.from_pretrained(distilbert_checkpoint)
"""
MODELS = """
import torch.nn as nn
import torch.nn.functional as F
from transformers import AutoTokenizer, AutoModelForQuestionAnswering

teacher_checkpoint = "lewtun/bert-base-uncased-finetuned-squad-v1"
student_checkpoint = "distilbert-base-uncased"
teacher_model = AutoModelForQuestionAnswering.from_pretrained(teacher_checkpoint).to(device)
student_model = AutoModelForQuestionAnswering.from_pretrained(student_checkpoint).to(device)
student_tokenizer = AutoTokenizer.from_pretrained(student_checkpoint)
"""
TRAINER = """
class DistillationTrainer(QuestionAnsweringTrainer):
    def __init__(self, *args, teacher_model=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.teacher = teacher_model
        self.teacher.eval()

    def compute_loss(self, model, inputs, **kwargs):
        inputs_stu = {
            "input_ids": inputs['input_ids'],
            "attention_mask": inputs['attention_mask'],
            "start_positions": inputs['start_positions'],
            "end_positions": inputs['end_positions'],
            }
        outputs_stu = model(**inputs_stu)
        loss = outputs_stu.loss
        start_logits_stu = outputs_stu.start_logits
        end_logits_stu = outputs_stu.end_logits

        with torch.no_grad():
            outputs_tea = self.teacher(
                input_ids=inputs["input_ids"],
                token_type_ids=inputs["token_type_ids"],
                attention_mask=inputs["attention_mask"])
            start_logits_tea = outputs_tea.start_logits
            end_logits_tea = outputs_tea.end_logits
        assert start_logits_tea.size() == start_logits_stu.size()
        assert end_logits_tea.size() == end_logits_stu.size()

        loss_fct = nn.KLDivLoss(reduction="batchmean")
        loss_start = (loss_fct(
            F.log_softmax(start_logits_stu / self.args.temperature, dim=-1),
            F.softmax(start_logits_tea / self.args.temperature, dim=-1)) * (self.args.temperature ** 2))
        loss_end = (loss_fct(
            F.log_softmax(end_logits_stu / self.args.temperature, dim=-1),
            F.softmax(end_logits_tea / self.args.temperature, dim=-1)) * (self.args.temperature ** 2))
        loss_logits = (loss_start + loss_end) / 2.0
        loss = self.args.alpha_distil * loss_logits + self.args.alpha_distil * loss
        return loss
"""  # noqa: E501
PIPELINES = """
from transformers import AutoTokenizer, AutoModelForQuestionAnswering, QuestionAnsweringPipeline

student_model_ckpt = 'lewtun/distilbert-base-uncased-distilled-squad-v1'
teacher_model_ckpt = 'lewtun/bert-base-uncased-finetuned-squad-v1'

student_tokenizer = AutoTokenizer.from_pretrained(student_model_ckpt)
student_model = AutoModelForQuestionAnswering.from_pretrained(student_model_ckpt).to('cpu')

teacher_tokenizer = AutoTokenizer.from_pretrained(teacher_model_ckpt)
teacher_model = AutoModelForQuestionAnswering.from_pretrained(teacher_model_ckpt).to('cpu')

student_pipe = QuestionAnsweringPipeline(student_model, student_tokenizer)
teacher_pipe = QuestionAnsweringPipeline(teacher_model, teacher_tokenizer)

answers = [pipe(question=question, context=context) for pipe in (teacher_pipe, student_pipe)]
"""
QUESTIONS = ["who won the game?", "what was built?"]
CONTEXTS = ["denver broncos won the game in denver.", "the old king built a tower by the river."]


def potstill(code):
    """A snippet with the import changed; ``default_data_collator`` stays where it was."""
    changed = code.replace("default_data_collator, ", "")
    return changed.replace("from transformers import", "from potstill import")


def test_tokenizers_encode_and_decode(models):
    names = {"train_ds": [{"input_ids": [2, 9, 10, 3, 20, 21, 3, 0, 0]}]}
    exec(potstill(TOKENIZERS), names)
    theirs = transformers.AutoTokenizer.from_pretrained("bert-base-uncased")
    expected = theirs.decode(names["train_ds"][0]["input_ids"], skip_special_tokens=True)
    assert names["decoded"] == expected
    assert list(names["distilbert_tokenizer"]("the king")) == ["input_ids", "attention_mask"]


class Arguments(transformers.TrainingArguments):
    """The notebook's own, less what it takes from its author's package."""

    def __init__(self, *args, alpha_ce=0.5, alpha_distil=0.5, temperature=2.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha_ce = alpha_ce
        self.alpha_distil = alpha_distil
        self.temperature = temperature


@pytest.fixture
def features(models):
    """Rows as ``convert_examples_to_features`` makes them."""
    tokenizer = transformers.AutoTokenizer.from_pretrained("bert-base-uncased")
    rows = tokenizer(
        QUESTIONS, CONTEXTS, padding="max_length", max_length=48, return_token_type_ids=True
    )
    return [
        {**{name: column[i] for name, column in rows.items()}, **gold}
        for i, gold in enumerate([{"start_positions": 7, "end_positions": 8}] * 2)
    ]


@pytest.mark.filterwarnings("ignore:.* a new one was made")
@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
def test_a_student_is_distilled_by_their_trainer(models, features):
    torch.manual_seed(0)  # before the student's new head is made
    names = {"device": "cpu", "torch": torch, "QuestionAnsweringTrainer": transformers.Trainer}
    exec(potstill(MODELS), names)
    exec(TRAINER, names)
    arguments = Arguments(
        output_dir="checkpoints",
        learning_rate=1e-3,
        per_device_train_batch_size=2,
        max_steps=24,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = names["DistillationTrainer"](
        model=names["student_model"],
        teacher_model=names["teacher_model"],
        args=arguments,
        train_dataset=features,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert sum(losses[-6:]) < sum(losses[:6])
    trainer.model.save_pretrained("models/distilled")
    names["student_tokenizer"].save_pretrained("models/distilled")
    again = transformers.AutoModelForQuestionAnswering.from_pretrained("models/distilled")
    assert type(again).__name__ == "DistilBertForQuestionAnswering"


def test_pipelines_of_a_model_and_a_tokenizer(models):
    names = {"question": QUESTIONS[0], "context": CONTEXTS[0]}
    exec(potstill(PIPELINES), names)
    for answer in names["answers"]:
        assert CONTEXTS[0][answer["start"] : answer["end"]] == answer["answer"]
