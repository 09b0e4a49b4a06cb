"""Tiny models and data for tests: random weights, a small vocabulary, made here in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors, trainers

from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.heads import hf_config
from potstill.bundle.weights import expected_shapes, write_weights
from potstill.text.opening import wordpiece

WORDS = (
    "the of in and is was to who what where when which won game city river king built by "
    "denver broncos carolina panthers paris london seine thames queen tower bridge old new "
    "first last year team played lost wrote book red blue green small large model answers"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    *".,?!-()'", *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS),
]  # fmt: skip

PLAIN = ("hf", "onnx", "fp16", "int8")
"""The formats that need no extra."""

BYTE_LEVEL_SIZE = 330
"""Most tokens of the vocabulary that `byte_level` makes."""
UNIGRAM_SIZE = 130
"""Most tokens of the vocabulary that `unigram` makes."""
_SHAPES = {
    "distilbert": {"n_token_types": 0},
    "roberta": {"n_token_types": 1, "pad_id": 1, "vocab_size": BYTE_LEVEL_SIZE},
    "xlm-roberta": {"n_token_types": 1, "pad_id": 1, "vocab_size": UNIGRAM_SIZE},
    "camembert": {"n_token_types": 1, "pad_id": 1, "vocab_size": UNIGRAM_SIZE},
    "electra": {"embedding_width": 12},
    "modernbert": {
        "n_layers": 4,
        "n_token_types": 0,
        "vocab_size": BYTE_LEVEL_SIZE,
        "extra": {"local_attention": 8, "classifier_pooling": "mean"},
    },
    "deberta-v2": {
        "n_token_types": 0,
        "vocab_size": UNIGRAM_SIZE,
        "extra": {
            "relative_attention": True,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": "p2c|c2p",
            "position_biased_input": False,
        },
    },
    "albert": {"embedding_width": 12, "vocab_size": UNIGRAM_SIZE},
    "mpnet": {"n_token_types": 0, "pad_id": 1, "vocab_size": len(VOCABULARY) + 5},
}


def config(model_type: str = "bert", **options) -> ModelConfig:
    """A config of about 10,000 parameters over `VOCABULARY`."""
    shape = {
        "vocab_size": len(VOCABULARY),
        "hidden_width": 16,
        "n_layers": 2,
        "n_heads": 2,
        "ffn_width": 32,
        "max_positions": 128,
    }
    shape |= _SHAPES.get(model_type, {})
    return ModelConfig(model_type=model_type, **{**shape, **options})


def weights(shape: ModelConfig, *, seed: int = 0, head: str | None = "qa") -> dict[str, np.ndarray]:
    """Random weights, large enough that different inputs give clearly different logits."""
    random = np.random.default_rng(seed)
    found = {
        name: random.normal(0, 0.3, size).astype(np.float32)
        for name, size in expected_shapes(shape, head=head or None).items()
    }
    for name, array in found.items():
        if name.endswith("norm.weight"):
            array += 1
    return found


def write_tokenizer(folder: Path, *, lower: bool = True) -> None:
    """``vocab.txt`` and ``tokenizer_config.json``, as an old Hugging Face folder has them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {"do_lower_case": lower, "tokenizer_class": "BertTokenizer"},
    )


def write_mpnet_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` of BERT's word pieces with five tokens of RoBERTa's kind around them."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *VOCABULARY, "<mask>"]
    backend = wordpiece({token: i for i, token in enumerate(vocabulary)}, {})
    special = ("<s>", "<pad>", "</s>", "<unk>")
    backend.add_special_tokens([*special, AddedToken("<mask>", lstrip=True, normalized=False)])
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    backend.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {"do_lower_case": True, "unk_token": "[UNK]", "tokenizer_class": "MPNetTokenizer"},
    )


def byte_level(**options) -> tokenizers.Tokenizer:
    """A byte-level BPE over `SENTENCES`, as RoBERTa has one; pieces of words are tokens too."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=BYTE_LEVEL_SIZE,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator((text for text, *_ in SENTENCES * 3), trainer)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), **{"trim_offsets": True, "add_prefix_space": False, **options}
    )
    return backend


def write_byte_level(folder: Path, *, pieces: bool = False) -> None:
    """``tokenizer.json`` of `byte_level`, or as older folders have it: ``pieces`` of it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"})
    if pieces:
        byte_level().model.save(str(folder))
    else:
        byte_level().save(str(folder / "tokenizer.json"))


def unigram(
    special: tuple[str, ...] = ("<s>", "<pad>", "</s>", "<unk>"), *, spells: bool = False
) -> tokenizers.Tokenizer:
    """A Unigram over `SENTENCES`, its tokens around a text first and ``<mask>`` last.

    Args:
        special: the tokens around a text.
        spells: whether it has a piece for each byte, for what it has no other for.
    """
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=UNIGRAM_SIZE - len(special) - 1, special_tokens=[], show_progress=False
    )
    backend.train_from_iterator((text for text, *_ in SENTENCES * 3), trainer)
    pieces = [tuple(piece) for piece in json.loads(backend.to_str())["model"]["vocab"]]
    if spells:
        pieces += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    mask = "<mask>" if "<s>" in special else "[MASK]"
    unknown = "[UNK]" if "[UNK]" in special else "<unk>"
    vocabulary = [*((token, 0.0) for token in special), *pieces, (mask, 0.0)]
    found = tokenizers.Tokenizer(models.Unigram(vocabulary, special.index(unknown), spells))
    found.add_special_tokens([*special, AddedToken(mask, lstrip=True, normalized=False)])
    return found


def charsmap(rules: dict[str, str]) -> bytes:
    """A table of characters as SentencePiece writes it: a double array over UTF-8, and strings."""
    strings = b"".join(text.encode() + b"\0" for text in rules.values())
    places, at = {}, 0
    for key, text in rules.items():
        places[key.encode()] = at
        at += len(text.encode()) + 1
    prefixes = sorted({key[:n] for key in places for n in range(len(key) + 1)})
    units, bases = {0: 0}, {}
    for prefix in prefixes:
        letters = {child[-1] for child in prefixes if child[:-1] == prefix and child}
        letters |= {0} if prefix in places else set()
        free = (b for b in range(1, 2**21) if b not in bases.values())
        base = next(b for b in free if not any(b ^ letter in units for letter in letters))
        bases[prefix] = base
        own = bases[prefix[:-1]] ^ prefix[-1] if prefix else 0
        units[own] = (own ^ base) << 10 | (prefix in places) << 8 | (prefix or b"\0")[-1]
        units |= {base ^ letter: 0 for letter in letters}
        if prefix in places:
            units[base] = places[prefix] | 1 << 31
    # To a whole 256: whoever reads it looks for a byte before it asks whether one is there.
    n_units = (max(units) | 255) + 1
    trie = np.array([units.get(i, 0) for i in range(n_units)], "<u4").tobytes()
    return len(trie).to_bytes(4, "little") + trie + strings


CHARACTERS = {
    "\t": " ", "\n": " ", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\u00ad": "",
    "ﬁ": "fi", "½": "1\u20442", "Ⅳ": "IV", "…": "...", "№": "No", "é": "e", "e\u0301": "é",
    "\u0301": "", "ΐ": "ι\u0308\u0301", "가": "\u1100\u1161",
}  # fmt: skip
"""Rules for `charsmap`: characters that become several, one, others or none."""


def write_unigram(
    folder: Path, name: str, *, characters: dict[str, str] | None = None, spells: bool = False
) -> None:
    """``tokenizer.json`` of `unigram`, as of a class of transformers; see `charsmap`."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {
        "Albert": ("<pad>", "<unk>", "[CLS]", "[SEP]"),
        "Deberta": ("[PAD]", "[CLS]", "[SEP]", "[UNK]"),
    }
    named = [tokens for kind, tokens in special.items() if name.startswith(kind)]
    backend = unigram(*named, spells=spells)
    if characters:
        backend.normalizer = normalizers.Precompiled(charsmap(characters))
    backend.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": name})


def field(number: int, value: bytes | int) -> bytes:
    """A field of a message: a number, or bytes behind their length."""

    def varint(n: int) -> bytes:
        return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece(
    pieces: list[tuple[str, float, int]], *, characters: dict[str, str] | None = None, kind: int = 1
) -> bytes:
    """A model as SentencePiece writes it.

    Args:
        pieces: text, score and type: 1 of a piece of text, 2 unknown, 3 control, 4 user-defined.
        characters: see `charsmap`.
        kind: of the model; 1 is Unigram.
    """
    made = b""
    for text, score, type_ in pieces:
        piece = field(1, text.encode()) + b"\x15" + np.float32(score).tobytes()
        made += field(1, piece + (field(3, type_) if type_ > 1 else b""))
    table = field(2, charsmap(characters)) if characters else b""
    # Beside them is what nobody needs: how it was trained, and numbers of 8 bytes.
    return (
        made + field(2, field(3, kind) + field(1, b"corpus")) + field(3, table) + b"\x79" + bytes(8)
    )


def write_sentencepiece(folder: Path, model_type: str, **options) -> Path:
    """The pieces of `unigram` as a type's own file has them; see `sentencepiece`."""
    kinds = {
        "albert": {"<pad>": 3, "<unk>": 2, "[CLS]": 3, "[SEP]": 3, "[MASK]": 4, "(": 4},
        "deberta-v2": {"[PAD]": 3, "[CLS]": 3, "[SEP]": 3, "[UNK]": 2},
    }.get(model_type, {"<unk>": 2, "<s>": 3, "</s>": 3})
    values = json.loads(unigram().to_str())["model"]["vocab"]
    pieces = [(text, 0.0, kind) for text, kind in kinds.items()]
    pieces += [(text, score, 1) for text, score in values[4:-1]]
    name = {"albert": "spiece.model", "deberta-v2": "spm.model"}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name.get(model_type, "sentencepiece.bpe.model")
    path.write_bytes(sentencepiece(pieces, **options))
    return path


def write_whole(folder: Path) -> None:
    """``tokenizer.json`` of byte-level BPE with BERT's special tokens, as ModernBERT has it."""
    folder.mkdir(parents=True, exist_ok=True)
    values = byte_level().to_str()
    names = {"s": "CLS", "/s": "SEP", "pad": "PAD", "unk": "UNK", "mask": "MASK"}
    for angled, name in names.items():
        values = values.replace(f'"<{angled}>"', f'"[{name}]"')
    backend = tokenizers.Tokenizer.from_str(values)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 2)],
    )
    backend.save(str(folder / "tokenizer.json"))
    special = {f"{name.lower()}_token": f"[{name}]" for name in names.values()}
    inputs = {"model_input_names": ["input_ids", "attention_mask"]}
    named = {"tokenizer_class": "PreTrainedTokenizerFast"}
    write_json(folder / "tokenizer_config.json", {**named, **inputs, **special})


def write_tokenizer_of(folder: Path, model_type: str) -> None:
    """The files of the tokenizer that a type of encoder has."""
    if model_type == "roberta":
        write_byte_level(folder)
    elif model_type == "modernbert":
        write_whole(folder)
    elif model_type in ("xlm-roberta", "camembert", "albert", "deberta-v2"):
        write_unigram(folder, f"{ENCODERS[model_type].prefix}Tokenizer")
    elif model_type == "mpnet":
        write_mpnet_tokenizer(folder)
    else:
        write_tokenizer(folder)


def write_model(
    folder: Path, model_type: str = "bert", *, seed: int = 0, head: str | None = "qa", **options
) -> Path:
    """A whole model folder in Hugging Face's layout, its ``head`` named as in `bundle.heads`."""
    shape = config(model_type, **options)
    write_tokenizer_of(folder, model_type)
    # Old folders do not name their head; that of a classifier decides what a name means.
    labelling = head in ("classification", "tagging", "choice")
    write_json(folder / "config.json", hf_config(shape, head) if labelling else shape.to_hf())
    found = weights(shape, seed=seed, head=head)
    write_weights(folder / "model.safetensors", found, shape, head or "qa")
    return folder


SENTENCES = (
    ("Denver Broncos won the game in Denver.", "Who won the game?", "Denver Broncos"),
    ("The old king built a tower by the river Thames.", "What was built?", "a tower"),
    ("Paris is the large city of the Seine.", "Which city is large?", "Paris"),
    ("The queen wrote a small red book last year.", "Who wrote a book?", "The queen"),
)


def write_squad(path: Path, *, copies: int = 1) -> Path:
    """A SQuAD v1.1 file of four questions, each ``copies`` times with another context."""
    paragraphs = []
    for copy in range(copies):
        for number, (text, question, answer) in enumerate(SENTENCES):
            context = f"{'It was a new year. ' * (copy % 3)}In {1900 + copy}, {text}"
            answers = [{"text": answer, "answer_start": context.index(answer)}]
            qas = [{"id": f"q{copy}-{number}", "question": question, "answers": answers}]
            paragraphs.append({"context": context, "qas": qas})
    data = [{"title": "tiny", "paragraphs": paragraphs}]
    path.write_text(json.dumps({"version": "1.1", "data": data}), encoding="utf-8")
    return path


def write_corpus(path: Path, *, articles: int = 40) -> Path:
    """Plain text of so many short articles over `WORDS`, each with its title."""
    random = np.random.default_rng(0)
    blocks = []
    for number in range(articles):
        lines = [f"= Article {number} ="]
        for _ in range(random.integers(1, 4)):
            # A word follows from the one before, so that there is something to learn.
            at = int(random.integers(len(WORDS)))
            chosen = [WORDS[(at + 7 * step) % len(WORDS)] for step in range(random.integers(6, 14))]
            lines.append(f"In {1900 + number}, {' '.join(chosen)}.")
        blocks.append("\n".join(lines))
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path
