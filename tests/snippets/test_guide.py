"""The guide to DistilBERT: its seven uses, each as printed and with only the import changed."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

CONFIG = """
from transformers import DistilBertModel, DistilBertConfig
# Initializing a DistilBERT configuration
configuration = DistilBertConfig()
# Initializing a model from the configuration
model = DistilBertModel(configuration)
# Accessing the model configuration
configuration = model.config
"""
TOKENIZER = """
from transformers import DistilBertTokenizer
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
inputs
"""
MODEL = """
from transformers import DistilBertTokenizer, DistilBertModel
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
model = DistilBertModel.from_pretrained('distilbert-base-uncased')
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
outputs = model(**inputs)
last_hidden_states = outputs.last_hidden_state
"""
MASKED_LM = """
from transformers import DistilBertTokenizer, DistilBertForMaskedLM
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
model = DistilBertForMaskedLM.from_pretrained('distilbert-base-uncased')
inputs = tokenizer("The capital of France is [MASK].", return_tensors="pt")
labels = tokenizer("The capital of France is Paris.", return_tensors="pt")["input_ids"]
outputs = model(**inputs, labels=labels)
loss = outputs.loss
logits = outputs.logits
"""
SEQUENCE_CLASSIFICATION = """
from transformers import DistilBertTokenizer, DistilBertForSequenceClassification
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
model = DistilBertForSequenceClassification.from_pretrained('distilbert-base-uncased')
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
labels = torch.tensor([1]).unsqueeze(0)  # Batch size 1
outputs = model(**inputs, labels=labels)
loss = outputs.loss
logits = outputs.logits
"""
MULTIPLE_CHOICE = """
from transformers import DistilBertTokenizer, DistilBertForMultipleChoice
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-cased')
model = DistilBertForMultipleChoice.from_pretrained('distilbert-base-cased')
prompt = "In Italy, pizza served in formal settings, such as at a restaurant, is presented unsliced."
choice0 = "It is eaten with a fork and a knife."
choice1 = "It is eaten while held in the hand."
labels = torch.tensor(0).unsqueeze(0)  # choice0 is correct (according to Wikipedia ;)), batch size 1
encoding = tokenizer([[prompt, choice0], [prompt, choice1]], return_tensors='pt', padding=True)
outputs = model(**{k: v.unsqueeze(0) for k,v in encoding.items()}, labels=labels) # batch size is 1
# the linear classifier still needs to be trained
loss = outputs.loss
logits = outputs.logits
"""  # noqa: E501
TOKEN_CLASSIFICATION = """
from transformers import DistilBertTokenizer, DistilBertForTokenClassification
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
model = DistilBertForTokenClassification.from_pretrained('distilbert-base-uncased')
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
labels = torch.tensor([1] * inputs["input_ids"].size(1)).unsqueeze(0)  # Batch size 1
outputs = model(**inputs, labels=labels)
loss = outputs.loss
logits = outputs.logits
"""
QUESTION_ANSWERING = """
from transformers import DistilBertTokenizer, DistilBertForQuestionAnswering
import torch
tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
model = DistilBertForQuestionAnswering.from_pretrained('distilbert-base-uncased')
question, text = "Who was Jim Henson?", "Jim Henson was a nice puppet"
inputs = tokenizer(question, text, return_tensors='pt')
start_positions = torch.tensor([1])
end_positions = torch.tensor([3])
outputs = model(**inputs, start_positions=start_positions, end_positions=end_positions)
loss = outputs.loss
start_scores = outputs.start_logits
end_scores = outputs.end_logits
"""


def test_a_checking_the_configuration(run):
    names = run(CONFIG)
    config = names["configuration"]
    assert (config.dim, config.n_layers, config.n_heads, config.vocab_size) == (768, 6, 12, 30522)
    assert (config.hidden_size, config.num_hidden_layers, config.num_labels) == (768, 6, 2)
    assert config.seq_classif_dropout == 0.2
    n_parameters = sum(p.numel() for p in names["model"].parameters())
    assert n_parameters == 66_362_880


def test_b_tokenizer(run):
    inputs = run(TOKENIZER)["inputs"]
    assert list(inputs) == ["input_ids", "attention_mask"]
    assert inputs.input_ids.shape == inputs["attention_mask"].shape
    assert (inputs["input_ids"][0, 0], inputs["input_ids"][0, -1]) == (2, 3)
    assert re.match(r"\{'input_ids': tensor\(\[\[ *2,", repr(inputs))


def test_c_model(run):
    names = run(MODEL)
    assert names["last_hidden_states"].shape == (*names["inputs"]["input_ids"].shape, 16)
    assert torch.equal(names["outputs"][0], names["last_hidden_states"])


def test_d_masked_language_modeling(run):
    names = run(MASKED_LM)
    seen = names["logits"].log_softmax(-1)[0, range(names["labels"].shape[1]), names["labels"][0]]
    torch.testing.assert_close(names["loss"], -seen.mean())


def test_e_sequence_classification(run):
    names = run(SEQUENCE_CLASSIFICATION)
    assert names["logits"].shape == (1, 2)
    torch.testing.assert_close(names["loss"], -names["logits"].log_softmax(-1)[0, 1])


def test_f_multiple_choice(run):
    names = run(MULTIPLE_CHOICE)
    assert names["logits"].shape == (1, 2)
    torch.testing.assert_close(names["loss"], -names["logits"].log_softmax(-1)[0, 0])


def test_g_token_classification(run):
    names = run(TOKEN_CLASSIFICATION)
    assert names["logits"].shape == (*names["inputs"]["input_ids"].shape, 2)
    torch.testing.assert_close(names["loss"], -names["logits"].log_softmax(-1)[..., 1].mean())


def test_h_question_answering(run):
    names = run(QUESTION_ANSWERING)
    assert names["start_scores"].shape == names["end_scores"].shape
    assert names["start_scores"].shape == names["inputs"]["input_ids"].shape
    found = names["start_scores"].log_softmax(-1)[0, 1] + names["end_scores"].log_softmax(-1)[0, 3]
    torch.testing.assert_close(names["loss"], -found / 2)


SNIPPETS = {name: code for name, code in dict(globals()).items() if name.isupper()}


@pytest.mark.parametrize("name", [n for n in SNIPPETS if n not in ("CONFIG", "TOKENIZER")])
@pytest.mark.parametrize("fast", [False, True], ids=["", "fast"])
@pytest.mark.parametrize("encoder", ["Bert", "Roberta", "Electra"])
def test_the_twins_of_other_encoders(models, name, encoder, fast):
    """The same code with ``Bert`` and the like for ``DistilBert``, and with ``…TokenizerFast``."""
    import tiny

    if encoder == "Electra" and name == "MASKED_LM":
        return
    head = "mlm" if name == "MASKED_LM" else "bare"
    for folder in ("distilbert-base-uncased", "distilbert-base-cased"):
        for file in (models / folder).iterdir():
            file.unlink()
        tiny.write_model(models / folder, encoder.lower(), head=head, max_positions=320)
    code = SNIPPETS[name].replace("DistilBert", encoder).replace("transformers", "potstill")
    if fast:
        code = code.replace("Tokenizer", "TokenizerFast")
    if encoder == "Roberta":
        code = code.replace("[MASK]", "<mask>").replace(' is Paris."', ' isParis."')
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* a new one was made")
        exec(compile(code, name, "exec"), names)
    assert names.get("loss", torch.tensor(0.0)).isfinite()
