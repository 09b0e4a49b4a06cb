"""Unigram tokens of the JavaScript package against the tokenizers library's: ids, offsets, words.

    pip install sentencepiece protobuf
    python benchmarks/js_unigram.py DATA [--quick]

DATA is a folder with ``squad/dev-v1.1*.json``, perhaps packed with xz. SentencePiece trains two
vocabularies of 4,000 pieces on its contexts: by ``nmt_nfkc``, as XLM-R's, and by ``nmt_nfkc_cf``
with a piece for every byte, by which what is unknown is then spelled. Each is read as the
tokenizers of XLM-R, CamemBERT, ALBERT and DeBERTa are, with their options, and as its file has it,
and tokenizes 2,000 texts: of SQuAD, of random code points, and of what is hard on such tokenizers.
Exit status 1 where more than one differs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
from js_tokenizer import python_tokens, random_texts, text_of
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from potstill.bundle.atomic import write_json
from potstill.text.opening import open_folder
from potstill.text.tokenizer import Tokenizer

SCRIPT = Path(__file__).with_name("js_tokenizer.mjs")
RULES: tuple[dict[str, Any], ...] = (
    {"normalization_rule_name": "nmt_nfkc"},
    {"normalization_rule_name": "nmt_nfkc_cf", "byte_fallback": True},
)
READINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("XLMRobertaTokenizer", {}),
    ("CamembertTokenizer", {"add_prefix_space": False}),
    ("AlbertTokenizer", {}),
    ("AlbertTokenizer", {"do_lower_case": False, "keep_accents": True}),
    ("DebertaV2Tokenizer", {}),
    ("DebertaV2Tokenizer", {"do_lower_case": True, "split_by_punct": True}),
    ("DebertaV2Tokenizer", {"add_prefix_space": False}),
    ("PreTrainedTokenizerFast", {}),
)
HARD = [
    *"the king won Denver.,!?'▁<>/s\n\t\u00a0\u200d\u0301éñß中😀½ﬁ①Ⅳ\u0323\u0345\u1161각가क्षि…İΣ",
    *("<mask>", "</s>", "[SEP]", "  ", "``", "''", "\r\n", "👩‍👩‍👧", "e\u0301", "\u00ad", "\ufeff"),
]
MOST = 1
"""Differences allowed in 2,000 texts: of characters that are newer than the library."""


def texts(contexts: list[str], n: int) -> list[str]:
    """Half of them real, a quarter random, a quarter hard."""
    draw = random.Random(0)
    real = draw.sample(contexts, min(n // 2, len(contexts)))
    hard = ["".join(draw.choices(HARD, k=draw.randint(0, 40))) for _ in range(n // 4)]
    return [*real, *hard, *random_texts(n - len(real) - len(hard))]


def trained(contexts: list[str], folder: Path, rules: dict[str, Any]) -> Any:
    """What SentencePiece makes of the contexts: its model, as a message."""
    corpus = folder / "corpus.txt"
    others = random_texts(300)
    corpus.write_text("\n".join([*contexts[:800], *others]), encoding="utf-8", errors="replace")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "made"),
        vocab_size=4000,
        character_coverage=0.99,
        num_threads=1,
        minloglevel=2,
        **rules,
    )
    message = sentencepiece_model_pb2.ModelProto()
    message.ParseFromString((folder / "made.model").read_bytes())
    return message


def write_folder(folder: Path, message: Any, name: str, options: dict[str, Any]) -> None:
    """The tokenizer's files, with the special tokens of a class."""
    angled = name.startswith(("XLM", "Camembert"))
    special = ("<s>", "<pad>", "</s>", "<unk>") if angled else ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
    mask = "<mask>" if angled else "[MASK]"
    pieces = [(p.piece, p.score) for p in message.pieces if p.type not in (2, 3)]
    vocabulary = [*((token, 0.0) for token in special), *pieces, (mask, 0.0)]
    backend = Backend(models.Unigram(vocabulary, 3, message.trainer_spec.byte_fallback))
    backend.normalizer = normalizers.Precompiled(message.normalizer_spec.precompiled_charsmap)
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens([*special, AddedToken(mask, lstrip=True, normalized=False)])
    folder.mkdir(exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    named = {"cls": special[0], "pad": special[1], "sep": special[2], "unk": special[3]}
    tokens = {f"{role}_token": token for role, token in named.items()}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": name, **tokens, **options})


def spell(folder: Path) -> None:
    """Lets a folder's tokenizer spell by bytes, all else as its class reads it.

    The classes themselves do not, as in transformers 5: so it is of the class that says nothing.
    """
    values = json.loads(open_folder(folder).backend.to_str())
    values["model"]["byte_fallback"] = True
    write_json(folder / "tokenizer.json", values)
    options = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    whole = {**options, "tokenizer_class": "PreTrainedTokenizerFast"}
    write_json(folder / "tokenizer_config.json", whole)


def js_tokens(files: dict[str, str], folder: Path, given: list[str]) -> dict[str, Any]:
    """Tokens of the JavaScript package, and how long they took."""
    path = folder / "files.json"
    write_json(path, files)
    done = subprocess.run(
        ["node", str(SCRIPT), str(path)],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def main() -> None:
    """Compares and prints one row for each vocabulary and reading."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true", help="a tenth of the texts")
    arguments = parser.parse_args()
    articles = json.loads(text_of(arguments.data / "squad", "dev-v1.1*.json"))["data"]
    contexts = [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]
    given = texts(contexts, 200 if arguments.quick else 2000)
    failed = False
    print(f"{'reading':74}{'n':>6}{'differing':>11}{'characters/ms':>15}")
    for rules in RULES:
        with tempfile.TemporaryDirectory() as work:
            message = trained(contexts, Path(work), rules)
            for name, options in READINGS:
                folder = Path(work) / "model"
                write_folder(folder, message, name, options)
                if message.trainer_spec.byte_fallback:
                    spell(folder)
                wanted = python_tokens(Tokenizer.from_folder(folder), given)
                files = {
                    "tokenizer": open_folder(folder).backend.to_str(),
                    "config": (folder / "tokenizer_config.json").read_text(encoding="utf-8"),
                }
                said = js_tokens(files, folder, given)
                differing = [i for i, row in enumerate(said["tokens"]) if row != wanted[i]]
                failed |= len(differing) > MOST
                rate = sum(map(len, given)) / said["milliseconds"]
                title = f"{rules['normalization_rule_name']} {name} {json.dumps(options)}"
                print(f"{title:74}{len(given):>6}{len(differing):>11}{rate:>15.0f}")
                for i in differing[:3]:
                    print(f"  {given[i]!a}\n    {said['tokens'][i]}\n    {wanted[i]}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
