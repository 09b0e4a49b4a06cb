"""Models alone: folders in and out, and what is refused."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from potstill.bundle.config import ModelConfig
from potstill.errors import ConfigError, ModelNotFoundError, WeightsError
from potstill.models.layers import Attention, plain_attention
from potstill.models.named import BertForQuestionAnswering, DistilBertForQuestionAnswering
from potstill.models.qa import QuestionAnsweringModel

CONFIG = ModelConfig(
    vocab_size=50, hidden_width=16, n_layers=2, n_heads=2, ffn_width=32, max_positions=24
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BertForQuestionAnswering(CONFIG).eval()


def test_round_trip_through_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "m")
    again = BertForQuestionAnswering.from_pretrained(tmp_path / "m")
    assert not again.training
    for (name, a), (_, b) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_half_precision_is_stored_but_float32_is_loaded(model, tmp_path):
    model.save_pretrained(tmp_path / "full")
    model.save_pretrained(tmp_path / "half", half=True)
    sizes = [(tmp_path / f / "model.safetensors").stat().st_size for f in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    again = BertForQuestionAnswering.from_pretrained(tmp_path / "half")
    assert again.qa_head.weight.dtype == torch.float32
    torch.testing.assert_close(again.qa_head.weight, model.qa_head.weight, atol=1e-4, rtol=1e-3)


def test_a_bare_encoder_gets_a_new_head_and_says_so(model, tmp_path):
    from potstill.bundle.weights import write_weights

    model.save_pretrained(tmp_path / "m")
    bare = {k: v for k, v in model.to_weights().items() if not k.startswith("qa_head")}
    write_weights(tmp_path / "m" / "model.safetensors", bare, CONFIG)
    with pytest.warns(UserWarning, match="no question-answering head"):
        again = QuestionAnsweringModel.from_pretrained(tmp_path / "m")
    assert torch.equal(again.encoder.embeddings.word.weight, model.encoder.embeddings.word.weight)


def test_the_wrong_class_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path / "m")
    with pytest.raises(ConfigError, match="needs a distilbert config, not a bert one"):
        DistilBertForQuestionAnswering.from_pretrained(tmp_path / "m")


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no-such-folder"):
        BertForQuestionAnswering.from_pretrained(str(tmp_path / "no-such-folder"))


def test_truncated_weights_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path / "m")
    file = tmp_path / "m" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        BertForQuestionAnswering.from_pretrained(tmp_path / "m")


def test_rows_longer_than_the_position_table_are_refused(model):
    with pytest.raises(ValueError, match="25 tokens are longer than the model's 24 positions"):
        model(torch.ones(1, 25, dtype=torch.long))


def test_unpacking_gives_what_exists(model):
    ids = torch.randint(1, 50, (2, 8))
    start, end = model(ids)
    assert start.shape == end.shape == (2, 8)
    gold = torch.tensor([1, 2])
    loss, *_ = model(ids, start_positions=gold, end_positions=gold)
    assert loss.ndim == 0


def test_padding_does_not_change_a_row(model):
    ids = torch.randint(1, 50, (1, 10))
    alone = model(ids)
    padded = torch.cat([ids, torch.zeros(1, 6, dtype=torch.long)], 1)
    mask = (torch.arange(16) < 10).long()[None]
    together = model(padded, mask)
    torch.testing.assert_close(together.start_logits[:, :10], alone.start_logits)


def test_dropout_is_only_on_while_training(model):
    ids = torch.randint(1, 50, (1, 10))
    assert torch.equal(model(ids).start_logits, model(ids).start_logits)
    model.train()
    assert not torch.equal(model(ids).start_logits, model(ids).start_logits)


@pytest.mark.parametrize("padded", [False, True])
def test_plain_attention_computes_what_the_fused_kernel_does(padded):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 9, 8)
    mask = torch.ones(2, 1, 1, 9).bool()
    mask[1, ..., 6:] = False
    options = {"attn_mask": mask if padded else None, "dropout_p": 0.0}
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    torch.testing.assert_close(plain_attention(query, key, value, **options), expected)


def test_attention_drops_weights_while_training_and_keeps_their_mean():
    torch.manual_seed(0)
    layer = Attention(replace(CONFIG, attention_dropout=0.25))
    hidden = torch.randn(1, 7, CONFIG.hidden_width).expand(20_000, -1, -1)
    mask = (torch.arange(7) < 5)[None, None, None]
    with torch.no_grad():
        expected = layer.eval()(hidden[:1], mask)
        found = layer.train()(hidden, mask)
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(found.mean(0, keepdim=True), expected, atol=0.02, rtol=0)


def test_training_in_bfloat16_gives_the_same_gradients_but_for_rounding():
    torch.manual_seed(0)
    model = BertForQuestionAnswering(CONFIG.with_dropout(0.0)).train()
    ids = torch.randint(5, 50, (3, 12))
    mask = torch.ones(3, 12, dtype=torch.int64)
    mask[2, 7:] = 0
    gradients = []
    for half in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = model(ids, mask, start_positions=ids[:, 0] % 7, end_positions=ids[:, 1] % 7)
        output.loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.999
