"""Low-rank adapters: trained, folded in, and read from folders of PEFT's."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.manifest import read_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import ModelError, ModelNotFoundError, RecipeError, WeightsError
from potstill.models.adapters import AdaptedLinear, adapt, merge
from potstill.models.qa import QuestionAnsweringModel
from potstill.training.recipe.file import make_recipe
from potstill.training.start import start


@pytest.fixture(scope="module")
def run(base, tmp_path_factory):
    """A run with adapters."""
    train = tiny.write_squad(tmp_path_factory.mktemp("data") / "train.json", copies=12)
    out = tmp_path_factory.mktemp("run")
    values = {"base": str(base), "train": str(train), "out": str(out), "adapter_rank": 3}
    more = {"epochs": 1.0, "batch_tokens": 200, "learning_rate": 1e-2, "threads": 1}
    start(make_recipe({**values, **more, "seq_len": 128, "stride": 32, "averaging": 0.5}))
    return out


@pytest.fixture
def adapter(run, tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(run / "adapter", tmp_path / "adapter")


def change(folder, **values):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_an_adapted_layer_is_the_plain_one_until_it_is_trained():
    torch.manual_seed(0)
    plain = torch.nn.Linear(8, 5)
    x = torch.randn(2, 3, 8)
    adapted = AdaptedLinear(plain, 2)
    assert torch.equal(adapted(x), plain(x))
    torch.nn.init.normal_(adapted.up)
    expected = adapted(x)
    assert not torch.allclose(expected, plain(x))
    torch.testing.assert_close(adapted.merged()(x), expected)


def test_only_adapters_and_head_are_trained(base):
    model, _ = QuestionAnsweringModel.from_folder(base, read_config(base))
    names = [name for name, _ in model.named_parameters()]
    adapt(model.encoder, 3)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[2] for name in trained if ".layers." in name} == {"up", "down"}
    assert {name for name in trained if ".layers." not in name} == {
        "qa_head.weight",
        "qa_head.bias",
    }
    merge(model.encoder)
    assert [name for name, _ in model.named_parameters()] == names
    assert all(p.requires_grad for p in model.parameters())


def test_a_run_changes_only_what_has_adapters(base, run):
    config = read_config(base)
    before = read_weights(base, config, require_head=False)
    after = read_weights(run, config)
    changed = {name for name, array in before.items() if not np.array_equal(array, after[name])}
    dense = {n for n in before if n.startswith("layers.") and before[n].ndim == 2}
    assert changed == dense


def test_an_adapter_folder_is_a_model(run, adapter):
    found = read_weights(find_model(adapter), read_config(run))
    for name, array in read_weights(run, read_config(run)).items():
        np.testing.assert_allclose(found[name], array, atol=2e-4)  # kept in float16
    assert find_model(adapter) == find_model(adapter)
    assert (find_model(adapter) / "vocab.txt").is_file()
    assert read_manifest(find_model(adapter)) == read_manifest(run)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, at peft
def test_peft_reads_what_was_written(run, base):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForQuestionAnswering

    whole = AutoModelForQuestionAnswering.from_pretrained(base)
    loaded = peft.PeftModel.from_pretrained(whole, run / "adapter").merge_and_unload().eval()
    ours = QuestionAnsweringModel.from_pretrained(run)
    ids = torch.arange(5, 25)[None] % ours.config.vocab_size
    torch.testing.assert_close(
        loaded(ids).start_logits, ours(ids).start_logits, atol=2e-3, rtol=2e-3
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA is read"),
        ({"use_dora": True}, "use_dora is not supported"),
        ({"task_type": "CAUSAL_LM"}, "task_type is 'CAUSAL_LM'"),
        ({"r": 0}, "r 0 and lora_alpha"),
        ({"base_model_name_or_path": None}, "names no base_model_name_or_path"),
    ],
)
def test_other_kinds_are_refused_by_name(adapter, values, said):
    change(adapter, **values)
    with pytest.raises(ModelError, match=said):
        find_model(adapter)


def test_a_base_that_is_not_there_is_named(adapter):
    change(adapter, base_model_name_or_path="./gone/base")
    with pytest.raises(ModelNotFoundError, match="adapter_config.json: base_model_name_or_path"):
        find_model(adapter)


def test_weights_of_another_base_are_refused(adapter):
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(n for n in tensors if "lora_A" in n)
    save_file({**tensors, name: tensors[name][:, :-1].copy()}, file)
    with pytest.raises(WeightsError, match="do not fit the base's"):
        find_model(adapter)
    save_file({"base_model.model.gpt.wte.lora_A.weight": tensors[name]}, file)
    with pytest.raises(WeightsError, match="is not a weight of the base"):
        find_model(adapter)
    file.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        find_model(adapter)


def test_an_adapter_of_an_adapter_is_refused(adapter):
    change(adapter, base_model_name_or_path=str(adapter))
    with pytest.raises(ModelError, match="which is an adapter itself"):
        find_model(adapter)


def test_adapters_and_trained_layers_exclude_each_other(base, tmp_path):
    train = tiny.write_squad(tmp_path / "train.json", copies=2)
    values = {"base": str(base), "train": str(train), "out": str(tmp_path / "run")}
    recipe = make_recipe(
        {**values, "adapter_rank": 3, "trained_layers": 1, "seq_len": 128, "stride": 32}
    )
    with pytest.raises(RecipeError, match="omit trained_layers"):
        start(recipe)
