"""Batches without padding compute what padded ones do, forward and backward."""

import pytest
import torch
from unpadded import Unpadded, has_kernel

import tiny
from potstill.models.qa import QuestionAnsweringModel
from potstill.runtime.torch_session import TorchSession
from potstill.text.windows import Batch


def made(model_type="bert", **options):
    config = tiny.config(model_type, **options)
    model = QuestionAnsweringModel(config.with_dropout(0.0))
    model.load_weights(tiny.weights(config))
    return model.eval()


def rows(lengths=(20, 1, 7, 13)):
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 90, (len(lengths), max(lengths)), generator=random)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    types = ((torch.arange(max(lengths)) > 3) * mask).long()
    return ids * mask + (1 - mask), mask, types  # padding is id 1, RoBERTa's


@pytest.mark.parametrize("shape", [{}, {"layer_heads": (1, 2), "layer_ffn": (8, 32)}])
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra"])
def test_real_tokens_have_the_padded_models_logits(model_type, shape):
    model = made(model_type, **shape)
    ids, mask, types = rows()
    with torch.no_grad():
        wanted, found = model(ids, mask, types), Unpadded(model)(ids, mask, types)
    for name in ("start_logits", "end_logits"):
        one, other = getattr(found, name), getattr(wanted, name)
        torch.testing.assert_close(one[mask == 1], other[mask == 1], atol=1e-5, rtol=0)
        assert (one[mask == 0] == 0).all()
    with torch.no_grad():
        alone = Unpadded(model)(ids[:1], None, types[:1]).start_logits
    torch.testing.assert_close(alone, wanted.start_logits[:1], atol=1e-5, rtol=0)


def test_gradients_are_the_padded_models():
    model = made()
    ids, mask, types = rows()
    gradients = []
    for run in (model, Unpadded(model)):
        model.zero_grad()
        output = run(ids, mask, types)
        ((output.start_logits.sin() + output.end_logits.cos()) * mask).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_a_mask_with_holes():
    """Tokens that are hidden in the middle of a row are left out as well."""
    model = made()
    ids, mask, types = rows((20, 20))
    mask[0, 5:9] = 0
    with torch.no_grad():
        wanted, found = model(ids, mask, types), Unpadded(model)(ids, mask, types)
    torch.testing.assert_close(
        found.start_logits[mask == 1], wanted.start_logits[mask == 1], atol=1e-5, rtol=0
    )


def test_it_can_stand_where_a_session_is_expected():
    model = made()
    ids, mask, types = (x.numpy() for x in rows())
    batch = Batch(ids, mask, types)
    seen = mask == 1
    for one, other in zip(
        TorchSession(Unpadded(model)).run(batch), TorchSession(model).run(batch), strict=True
    ):
        assert abs(one[seen] - other[seen]).max() < 1e-5


def test_rows_that_are_too_long():
    with pytest.raises(ValueError, match="rows of 200 tokens are longer than the model's 128"):
        Unpadded(made())(torch.ones(1, 200, dtype=torch.long))


def test_the_kernel_is_for_cards_alone():
    assert not has_kernel(torch.zeros(2, 2, 8, dtype=torch.bfloat16))


@pytest.mark.gpu
def test_the_kernel_computes_the_same_on_a_card():
    model = made(hidden_width=64, n_heads=2).cuda().bfloat16()
    ids, mask, types = (x.cuda() for x in rows())
    with torch.no_grad():
        wanted, found = model(ids, mask, types), Unpadded(model)(ids, mask, types)
    off = (found.start_logits - wanted.start_logits)[mask == 1].abs().max()
    assert off < 0.05 * wanted.start_logits.float().abs().max()
