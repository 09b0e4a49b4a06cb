"""Config classes, ``Auto…`` helpers and what ``from_pretrained`` takes and refuses."""

import copy
import dataclasses
import pickle

import pytest
import torch

import potstill
import tiny
from potstill.bundle.config import read_config
from potstill.errors import ConfigError, WeightsError

KINDS = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "electra": "Electra",
    "mpnet": "MPNet",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "albert": "Albert",
    "modernbert": "ModernBert",
    "deberta-v2": "DebertaV2",
}
HEADS = {
    "bare": ("Model", "AutoModel"),
    "qa": ("ForQuestionAnswering", "AutoModelForQuestionAnswering"),
    "mlm": ("ForMaskedLM", "AutoModelForMaskedLM"),
    "classification": ("ForSequenceClassification", "AutoModelForSequenceClassification"),
    "tagging": ("ForTokenClassification", "AutoModelForTokenClassification"),
    "choice": ("ForMultipleChoice", "AutoModelForMultipleChoice"),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_auto_finds_the_class(kind, head, tmp_path):
    ending, auto = HEADS[head]
    if (kind, head) == ("electra", "mlm"):
        with pytest.raises(ConfigError, match="knows no model of type electra; it knows bert"):
            potstill.AutoModelForMaskedLM.from_config(tiny.config(kind))
        return
    folder = tiny.write_model(tmp_path, kind, head=head)
    model = getattr(potstill, auto).from_pretrained(folder)
    assert type(model) is getattr(potstill, KINDS[kind] + ending)
    assert type(getattr(potstill, auto).from_config(model.config)) is type(model)
    assert type(potstill.AutoConfig.from_pretrained(folder)).__name__ == KINDS[kind] + "Config"
    tokenizer = potstill.AutoTokenizer.from_pretrained(folder)
    out = model(
        tokenizer("the king won", return_tensors="pt")["input_ids"].view(1, 1, -1)
        if head == "choice"
        else tokenizer("the king won", return_tensors="pt").input_ids
    )
    assert out[0].isfinite().all()


def test_a_config_in_their_names():
    config = potstill.BertConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        id2label={0: "good", 1: "bad", 2: "ugly"},
        problem_type="multi_label_classification",
        something_of_mine=7,
    )
    assert (config.hidden_width, config.n_layers, config.n_labels) == (128, 2, 3)
    assert config.label2id == {"good": 0, "bad": 1, "ugly": 2}
    assert config.hidden_dropout_prob == 0.1
    assert config.something_of_mine == config.to_dict()["something_of_mine"] == 7
    assert not hasattr(config, "something_else")


def test_a_config_can_be_written_to_as_trainer_does():
    config = potstill.DistilBertConfig(hidden_size=96, num_hidden_layers=2)
    assert (config.dim, config.n_layers) == (96, 2)
    config.use_cache = False
    config.num_labels = 4
    config.problem_type = "regression"
    assert (config.n_labels, config.problem, config.use_cache) == (4, "regression", False)
    assert '"use_cache": false' in config.to_json_string()
    with pytest.raises(ConfigError, match="hidden_width 97 is not a multiple"):
        config.dim = 97
    with pytest.raises(AttributeError, match="hidden_width cannot be set"):
        config.hidden_width = 48
    assert config.dim == 96


def test_copies_of_a_config_are_equal(tmp_path):
    config = potstill.RobertaConfig(num_labels=3, max_position_embeddings=130)
    assert config.max_positions == 128
    for again in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert again == config and type(again) is type(config)
    assert dataclasses.replace(config, problem="regression") != config
    config.save_pretrained(tmp_path)
    assert potstill.RobertaConfig.from_pretrained(tmp_path) == config == read_config(tmp_path)
    assert potstill.AutoConfig.for_model("roberta", num_labels=3).n_labels == 3


def test_the_config_of_another_type_is_refused(tmp_path):
    folder = tiny.write_model(tmp_path)
    with pytest.raises(ConfigError, match="has a bert config, not a distilbert one"):
        potstill.DistilBertConfig.from_pretrained(folder)


def test_labels_and_problem_are_options_of_loading(tmp_path):
    folder = tiny.write_model(tmp_path, head="bare")
    with pytest.warns(UserWarning, match="no text-classification head: a new one was made"):
        model = potstill.BertForSequenceClassification.from_pretrained(
            folder, id2label={0: "a", 1: "b", 2: "c"}, problem_type="multi_label_classification"
        )
    assert model.classifier.out_features == 3
    assert (model.config.labels, model.config.problem) == (("a", "b", "c"), "multi-label")
    with pytest.raises(TypeError, match="takes no option 'num_label'"):
        potstill.BertForSequenceClassification.from_pretrained(folder, num_label=3)


def test_a_head_of_other_labels_is_made_anew(tmp_path):
    folder = tiny.write_model(tmp_path, head="classification", labels=("a", "b", "c"))
    first = potstill.BertForSequenceClassification.from_pretrained(folder)
    with pytest.warns(UserWarning, match="a new one was made"):
        other = potstill.BertForSequenceClassification.from_pretrained(folder, num_labels=5)
    assert other.classifier.out_features == 5
    assert torch.equal(other.pooler.weight, first.pooler.weight)
    assert other.config.labels == tuple(f"LABEL_{i}" for i in range(5))


def test_a_config_of_ones_own(tmp_path):
    folder = tiny.write_model(tmp_path, head="bare")
    config = potstill.BertConfig.from_pretrained(folder, hidden_dropout_prob=0.0)
    model = potstill.AutoModel.from_pretrained(folder, config=config)
    assert model.config is config
    assert model.encoder.embeddings.dropout.p == 0
    wide = potstill.BertConfig.from_pretrained(folder, hidden_size=32)
    with pytest.raises(WeightsError, match="but config.json asks for"):
        potstill.BertModel.from_pretrained(folder, config=wide)


def test_an_encoder_without_its_pooler(tmp_path):
    folder = tiny.write_model(tmp_path, head="mlm")
    with pytest.warns(UserWarning, match="has no pooler: a new one was made"):
        model = potstill.BertModel.from_pretrained(folder)
    ids = torch.tensor([[2, 9, 10, 3]])
    assert model(ids).pooler_output.shape == (1, 16)
    bare = potstill.BertModel(model.config, add_pooling_layer=False).eval()
    bare.load_state_dict({k: v for k, v in model.state_dict().items() if "pooler" not in k})
    assert bare(ids).pooler_output is None
    assert torch.equal(bare(ids)[0], model(ids)[0])


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (torch.tensor([1, 0]), "single-label"),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "multi-label"),
    ],
)
def test_the_first_labels_settle_the_problem(labels, problem, tmp_path):
    model = potstill.BertForSequenceClassification(tiny.config())
    ids = torch.tensor([[2, 9, 10, 3], [2, 11, 12, 3]])
    assert model(ids).loss is None and model.config.problem == ""
    model(ids, labels=labels)
    assert model.config.problem == problem
    model.save_pretrained(tmp_path)
    assert read_config(tmp_path).problem == problem
