"""Writes clients/js/test/fixtures: what Python's own rooms say, for the JavaScript package's tests.

Tokens, windows and spans come from `potstill.text`, answers from `QAClient` with two tiny models
(written here too) and with the embedded one, labels and entities from `Classifier` and `Tagger`
with tiny models of theirs. Offsets are in UTF-16 units, as JavaScript counts.
``--check`` writes nothing and fails where a fixture no longer is what Python says.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from potstill import Classifier, QAClient, Tagger
from potstill.bundle.atomic import write_json
from potstill.bundle.config import read_config
from potstill.bundle.find import embedded_folder
from potstill.bundle.heads import HEADS
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.weights import read_weights
from potstill.export.int8 import int8_storage
from potstill.records import Answer, Classification, Entity, Sentence
from potstill.runtime.entities import AGGREGATIONS
from potstill.runtime.highlighting import Support
from potstill.text.opening import open_folder, read_options, wordpiece
from potstill.text.sentences import sentences
from potstill.text.spans import WindowLogits, search
from potstill.text.tokenizer import BERT_PAIR, ROBERTA_PAIR, Tokenizer
from potstill.text.windows import by_token_budget, split

ROOT = Path(__file__).parents[1]
OUT = ROOT / "clients" / "js" / "test" / "fixtures"
sys.path.insert(0, str(ROOT / "tests"))
import tiny  # noqa: E402  # the tests' own small models

TEXTS = [
    "",
    "   \t\n ",
    "The Denver Broncos won the game, 24–10.",
    "Ünïcödé façade naïve Ångström ΣΊΣΥΦΟΣ İstanbul ǅ ﬁne",
    "e\u0301a\u0323\u0302 o\u0308\u0304 \u0301start q\u0307\u0323",
    "東京は日本の首都です。서울은 한국의 수도",
    "עברית العربية مرحبا بالعالم",
    "👩‍👩‍👧‍👦 won 🏈🏆! 𝒜𝒷𝒸 𠀀𪜀",
    "a\u0000b\u200bc\ufeffd\u00ade\ufffdf\u001dg\u0085h\u00a0i\u3000j",
    "lone \ud800 and \udfff halves",
    "Is [MASK] a [SEP]? [CLS][UNK] [mask] <mask> </s>",
    "don't I'll we've x's  two  spaces\n\nand\r\nlines   ",
    "supercalifragilistic" * 6 + " antidisestablishmentarianism",
    "£5.00/kg – 3½ × 10⁻⁶ (approx.) … “quoted” ‘text’ C++ @user #tag $x ^_~`",
    "\u0e01\u0e33\u0e25\u0e31\u0e07 हिन्दी தமிழ் \u1100\u1161\u11a8 각 ｶﾞ",
    " leading blank and trailing ",
]

LONG = (
    " ".join(f"In {1000 + n} the small team number {n} built a red bridge." for n in range(470))
    + " The large tower of Paris was built by the queen in 1889. "
    + " ".join(f"Old answers of the year {n} are lost 🏈." for n in range(90))
)

SENTENCES = [
    *TEXTS,
    "One. Two! Three?? Four… and five. (Six.) “Seven.” eight",
    "Dr. Smith came at 5 p.m. and left. By J. R. R. Tolkien (in 1937). É. Zola. It is 3 m. 24 came",
    "3. Deposit\n\nPay 20 per cent\n- one\n\t• two\n 12) three\r\n\r\n\u00a0٣. x",
    "a: b. C |\td: e\na: f |\td: g\n",
    "東京は首都です。「人口は多い。」本当！？ Yes.\x1cNo.\u2028But. 𝒜nd. ǅ. x",
]

HIGHLIGHTED = [
    (
        "Who wrote the book?",
        "The queen wrote a book in 1889. Denver won! Elephants came.",
        [
            "The king built a tower in Paris. The queen wrote a red book in 1889. It was new 🏈.",
            "Denver won the first game in 1998. Denver won the old game 24–10.",
        ],
    ),
    ("Was it built?", "The small team number 7 built a bridge.", [LONG[:3000], "One. Two."]),
]

PRUNED: list[dict[str, Any]] = [{}, {"tokens": 24}, {"enough": 0.5}]

ASKED: list[tuple[str, str | list[str], dict[str, Any]]] = [
    ("Who won the game?", "Denver Broncos won the game in Denver.", {}),
    ("Who won the game?", "Denver Broncos won the game in Denver.", {"topK": 3}),
    (
        "Who won?",
        "🏈 In the 2015 season the Denver Broncos 🏆 beat the Carolina Panthers 24–10.",
        {},
    ),
    (
        "What is the capital?",
        "日本の首都は東京です。 The capital of Japan is 東京 (Tokyo).",
        {"topK": 3},
    ),
    ("Who wrote it?", "The book was written by Zoe\u0308 Cafe\u0301 in 1999.", {}),
    (
        "Where did he live?",
        "משה גר בירושלים. Moses lived in ירושלים (Jerusalem) for years.",
        {"topK": 2},
    ),
    ("What is loved?", "She loves \ud800 sugar \udfff and 👩‍👩‍👧‍👦 family.", {}),
    ("What was built by the queen?", LONG, {"topK": 3}),
    ("Which team built a red bridge in 1234?", LONG, {"maxAnswerLength": 5}),
    ("Who painted the ceiling?", "The river Thames is in London.", {"noAnswer": True}),
    (
        "Which city?",
        ["London is old.", "Paris is the large city of the Seine.", "A game."],
        {"topK": 3},
    ),
    (
        "What colour?",
        "A supercalifragilisticexpialidocious blueish-green boat.",
        {"alignToWords": True},
    ),
    ("What is masked?", "The token [MASK] and the separator [SEP] are special.", {"topK": 2}),
]
"""Question, context or contexts, options of JavaScript's ``predict``."""

LABELLERS: dict[str, tuple[str, str, int, dict[str, Any], dict[str, Any] | None]] = {
    "single": (
        "classification",
        "bert",
        19,
        {"labels": ("dull", "fair", "good"), "problem": "single-label"},
        {"seq_len": 24, "max_windows": 3, "calibration": {"temperature": 1.7}},
    ),
    "several": (
        "classification",
        "electra",
        15,
        {"labels": ("river", "city", "king", "book"), "problem": "multi-label"},
        {
            "seq_len": 32,
            "max_windows": 0,
            "calibration": {
                "temperatures": {"river": 0.8, "king": 2.5},
                "thresholds": {"city": 0.2, "king": 0.6, "book": 0.7},
            },
        },
    ),
    "number": ("classification", "distilbert", 11, {"labels": ("stars",)}, None),
    "tags": (
        "tagging",
        "bert",
        17,
        {"labels": ("O", "B-place", "I-place", "B-group", "I-group")},
        {"seq_len": 48, "stride": 12},
    ),
    "letters": ("tagging", "roberta", 11, {"labels": ("place", "S-x", "E-x", "I-x")}, None),
}
"""Folder → head, type of encoder, seed, shape, and what of a manifest; folders without one say by
their config what they are."""

JUDGED: list[str | list[str]] = [
    "The queen wrote a red book.",
    " \u3000The small team won 🏈!  ",
    "Zoe\u0308 Café \u0000 by 東京",
    ["Who wrote the book?", "The queen wrote a red book in 1889."],
    ["Who won?", "In the first game of the year the team of Denver won, and lost the last. " * 4],
    ["A river? " * 30, "A city. " * 20],
    "In the last year the old king built a large tower by the river Thames. " * 12,
    "The king " * 200,
]
"""Texts and pairs."""

TAGGED = [*TEXTS[2:9], TEXTS[11], TEXTS[15], LONG[:250]]
WORDS = [
    ["Denver", "Broncos", "won", "in", "Paris", ",", "didn't", "they?"],
    ["\u0000", "The", "Zoe\u0308", "🏈x", "\u200b", "supercalifragilistic"],
    ["The", "old", "king", "of", "London", "."] * 30,
]

_OPTIONS = {
    "topK": "top_k",
    "maxAnswerLength": "max_answer_tokens",
    "noAnswer": "no_answer",
    "alignToWords": "align_to_words",
}


def units(text: str) -> list[int]:
    """Code point → UTF-16 unit, one more than the text has."""
    places = [0]
    for character in text:
        places.append(places[-1] + (2 if ord(character) > 0xFFFF else 1))
    return places


def encodings(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Every text of `TEXTS` with its tokens."""
    found: list[dict[str, Any]] = []
    for text in TEXTS:
        encoded, place = tokenizer.encode(text), units(text)
        offsets = [place[at] for at in encoded.offsets.ravel().tolist()]
        rows = {"ids": encoded.ids.tolist(), "offsets": offsets, "words": encoded.words.tolist()}
        found.append({"text": text, **rows})
    return found


def tokenizers() -> list[dict[str, Any]]:
    """Tokenizers as their files, with what they make of `TEXTS`."""
    found: list[dict[str, Any]] = [
        {
            "name": "embedded",
            "files": None,
            "cases": encodings(Tokenizer.from_folder(embedded_folder())),
        }
    ]
    letters = [chr(c) for c in range(ord("A"), ord("Z") + 1)]
    vocabulary = [*tiny.VOCABULARY, *letters, *(f"##{c}" for c in letters), "é", "##é", "é", "東"]
    special = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    for config in (
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False},
    ):
        backend = wordpiece({token: i for i, token in enumerate(dict.fromkeys(vocabulary))}, config)
        files = {"vocab": "\n".join(dict.fromkeys(vocabulary)), "config": json.dumps(config)}
        cases = encodings(Tokenizer(backend, special))
        found.append({"name": f"wordpiece {json.dumps(config)}", "files": files, "cases": cases})
    for options in ({}, {"add_prefix_space": True}, {"trim_offsets": False}):
        backend = tiny.byte_level(**options)
        if options.get("add_prefix_space"):
            backend.pre_tokenizer.add_prefix_space = True  # type: ignore[union-attr]
        files = {"tokenizer": backend.to_str()}
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "tokenizer.json").write_text(files["tokenizer"], encoding="utf-8")
            cases = encodings(Tokenizer.from_folder(folder))
        found.append({"name": f"bytes {json.dumps(options)}", "files": files, "cases": cases})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny.write_byte_level(folder, pieces=True)
        files = {
            "vocabJson": (folder / "vocab.json").read_text(encoding="utf-8"),
            "merges": (folder / "merges.txt").read_text(encoding="utf-8"),
            "config": json.dumps(read_options(folder / "tokenizer_config.json")),
        }
        cases = encodings(Tokenizer.from_folder(folder))
        found.append({"name": "bytes in pieces", "files": files, "cases": cases})
    return [*found, *unigrams()]


def unigrams() -> list[dict[str, Any]]:
    """Unigram tokenizers, as an exported folder has them.

    Those that there are stay: the trainer finds other pieces in every process.
    """
    stored = OUT / "tokenizers.json"
    known = json.loads(stored.read_text("utf-8")) if stored.is_file() else []
    kept = {one["name"]: one["files"] for one in known}
    found: list[dict[str, Any]] = []
    for name, options in (
        ("XLMRobertaTokenizer", {}),
        ("CamembertTokenizer", {"add_prefix_space": False}),
        ("AlbertTokenizer", {}),
        ("AlbertTokenizer", {"do_lower_case": False, "keep_accents": True}),
        ("DebertaV2Tokenizer", {"add_prefix_space": False}),
        ("DebertaV2Tokenizer", {"do_lower_case": True, "split_by_punct": True}),
    ):
        with tempfile.TemporaryDirectory() as work:
            folder, title = Path(work), f"{name} {json.dumps(options)}"
            if title in kept:
                (folder / "tokenizer.json").write_text(kept[title]["tokenizer"], encoding="utf-8")
            else:
                tiny.write_unigram(folder, name, characters=tiny.CHARACTERS, spells=bool(options))
            write_json(folder / "tokenizer_config.json", {"tokenizer_class": name, **options})
            files = {"tokenizer": open_folder(folder).backend.to_str()}
            cases = encodings(Tokenizer.from_folder(folder))
        found.append({"name": title, "files": files, "cases": cases})
    return found


def cuts() -> dict[str, Any]:
    """Slices of contexts, and batches of rows."""
    slices: list[dict[str, Any]] = []
    for n_question in (1, 9, 40, 59):
        for n_context in (0, 1, 50, 64, 400):
            for seq_len, stride in ((64, 16), (64, 128), (384, 128)):
                for layout in (BERT_PAIR, ROBERTA_PAIR):
                    options = {"seqLen": seq_len, "stride": stride}
                    own = split(
                        n_question, n_context, seq_len=seq_len, stride=stride, layout=layout
                    )
                    between = layout.n_between
                    slices.append(
                        {"n": [n_question, n_context], **options, "between": between, "slices": own}
                    )
    random = np.random.default_rng(3)
    budgets = []
    for budget in (0, 100, 512):
        lengths = random.integers(8, 384, 20).tolist()
        batches = by_token_budget(lengths, budget)
        budgets.append({"lengths": lengths, "budget": budget, "batches": batches})
    return {"slices": slices, "budgets": budgets}


def searches() -> list[dict[str, Any]]:
    """Logits of windows, and the spans found in them."""
    random = np.random.default_rng(5)
    found: list[dict[str, Any]] = []
    for case in range(12):
        windows: list[WindowLogits] = []
        for context in range(1 + case % 3):
            for at in range(0, 30, 10):
                start, end = random.normal(0, 3, (2, 18)).astype(np.float32)
                start[random.integers(18)] = -np.inf
                null, bare = float(random.normal(2, 3)), random.random(18) < 0.3
                windows.append(WindowLogits(context, at, start, end, null, bare))
        options = {
            "top_k": 1 + case % 4,
            "max_answer_tokens": (1, 5, 30)[case % 3],
            "null_threshold": (None, 0.0, None, -1.5)[case % 4],
            "temperature": (1.0, 1.7)[case // 6],
        }
        result = search(windows, **options)
        found.append(
            {
                "windows": [
                    {
                        "context": w.context,
                        "at": w.at,
                        "start": _finite(w.start),
                        "end": _finite(w.end),
                        "null": w.null,
                        "bare": [] if w.bare is None else w.bare.tolist(),
                    }
                    for w in windows
                ],
                "options": options,
                "spans": [[s.context, s.start, s.stop, s.score, s.logit] for s in result.spans],
                "null": [result.null_score, result.null_logit],
            }
        )
    return found


def _finite(values: np.ndarray) -> list[float | None]:
    return [None if math.isinf(value) else float(value) for value in values]


def answers(client: QAClient) -> list[dict[str, Any]]:
    """What a client says to everything in `ASKED`."""
    found: list[dict[str, Any]] = []
    for question, context, options in ASKED:
        ours = {_OPTIONS[name]: value for name, value in options.items()}
        said = client.predict(question, context, **ours)
        several = isinstance(context, list)
        listed = said if isinstance(said, list) else [said]
        rows = [None if a is None else _row(a, context) for a in listed]
        for row in rows:
            if row is not None and not several:
                del row["source"]
        result = rows if isinstance(said, list) else rows[0]
        found.append(
            {"question": question, "context": context, "options": options, "answer": result}
        )
    return found


def _row(answer: Answer, context: str | list[str]) -> dict[str, Any]:
    place = units(context[answer.source] if isinstance(context, list) else context)
    return {
        "text": answer.text,
        "score": answer.score,
        "start": place[answer.start],
        "end": place[answer.end],
        "source": answer.source,
    }


def highlights(client: QAClient) -> list[dict[str, Any]]:
    """The sentences that a client finds, and what of an answer they support."""

    def row(one: Sentence, passages: list[str]) -> dict[str, Any]:
        place = units(passages[one.source])
        named = {**one.to_dict(), "nTokens": one.n_tokens}
        return {**named, "start": place[one.start], "end": place[one.end]}

    def claim(one: Support, answer: str, passages: list[str]) -> dict[str, Any]:
        place = units(answer)
        span = {"text": one.text, "start": place[one.start], "end": place[one.end]}
        return {**span, "sources": [row(source, passages) for source in one.sources]}

    found: list[dict[str, Any]] = []
    for question, answer, passages in HIGHLIGHTED:
        highlighted = client.highlight(question, passages)
        kept = [[own, client.prune(question, passages, **own)] for own in PRUNED]
        cited = client.cite(answer, passages, top_k=2)
        found.append(
            {
                "question": question,
                "answer": answer,
                "passages": passages,
                "highlight": [row(one, passages) for one in highlighted],
                "prune": [[own, [row(one, passages) for one in those]] for own, those in kept],
                "cite": [claim(one, answer, passages) for one in cited],
            }
        )
    return found


def judgements(classifier: Classifier) -> list[dict[str, Any]]:
    """What a classifier says of everything in `JUDGED`, in several ways."""

    def row(said: Classification) -> dict[str, Any]:
        labels = [label.to_dict() for label in said.labels]
        return {"chosen": list(said.chosen), "labels": labels, "truncated": said.truncated}

    found: list[dict[str, Any]] = []
    for given in ({}, {"maxWindows": 1}, {"seqLen": 16, "maxWindows": 2}, {"threshold": 0.4}):
        ours = {
            {"maxWindows": "max_windows", "seqLen": "seq_len"}.get(k, k): v
            for k, v in given.items()
        }
        if "threshold" in ours:
            ours["thresholds"] = (ours.pop("threshold"),)
        own = classifier.using(options=classifier.options.updated(ours))
        texts = [text if isinstance(text, str) else (text[0], text[1]) for text in JUDGED]
        said = [row(one) for one in own.classify_many(texts)]
        found.append({"options": given, "said": said})
    return found


def labelled(tagger: Tagger) -> dict[str, Any]:
    """What a tagger finds in `TAGGED`, and the tags of `WORDS`."""

    def row(entity: Entity, text: str) -> dict[str, Any]:
        place = units(text)
        return {**entity.to_dict(), "start": place[entity.start], "end": place[entity.end]}

    spans: list[dict[str, Any]] = []
    for aggregation in AGGREGATIONS:
        given = {"aggregation": aggregation, "ignore": ["O"] if aggregation != "max" else []}
        said = tagger.tag_many(TAGGED, **given)
        rows = [[row(one, text) for one in own] for text, own in zip(TAGGED, said, strict=True)]
        spans.append({"options": given, "said": rows})
    return {"spans": spans, "tags": tagger.tag_words_many(WORDS)}


def cut_sentences() -> list[dict[str, Any]]:
    """Texts, and where their sentences are."""
    return [
        {"text": text, "spans": [[units(text)[a], units(text)[b]] for a, b in sentences(text)]}
        for text in SENTENCES
    ]


def write_models(out: Path) -> None:
    """Two tiny bundles, float32, each with its ONNX file."""
    for name, model_type in (("bert", "bert"), ("roberta", "roberta")):
        folder = out / name
        with tempfile.TemporaryDirectory() as work:
            made = tiny.write_model(Path(work) / name, model_type, seed=7)
            config = read_config(made)
            graph = build_graph(config, read_weights(made, config, head="qa"), head="qa")
            folder.mkdir(parents=True, exist_ok=True)
            for file in made.iterdir():
                if file.suffix in (".json", ".txt"):
                    text = file.read_text(encoding="utf-8")
                    (folder / file.name).write_text(text, encoding="utf-8")
        (folder / "onnx").mkdir(exist_ok=True)
        (folder / "onnx" / "model.onnx").write_bytes(graph.SerializeToString())


def write_labellers(out: Path) -> None:
    """Tiny classifiers and taggers, each with an ONNX file in float32 and one in int8."""
    for name, (head, model_type, seed, shape, manifest) in LABELLERS.items():
        folder = out / name
        with tempfile.TemporaryDirectory() as work:
            made = tiny.write_model(Path(work) / name, model_type, seed=seed, head=head, **shape)
            config = read_config(made)
            weights = read_weights(made, config, head=head)
            (folder / "onnx").mkdir(parents=True, exist_ok=True)
            for file in made.iterdir():
                if file.suffix in (".json", ".txt"):
                    text = file.read_text(encoding="utf-8")
                    (folder / file.name).write_text(text, encoding="utf-8")
        for storage, file in ((None, "model.onnx"), (int8_storage(config), "model_quantized.onnx")):
            graph = build_graph(config, weights, *([storage] if storage else []), head=head)
            (folder / "onnx" / file).write_bytes(graph.SerializeToString())
        if manifest is not None:
            values = {"format_version": 1, "task": HEADS[head].task, **manifest}
            text = json.dumps(values, indent=2) + "\n"
            (folder / "potstill.json").write_text(text, encoding="utf-8")


def labels(models: Path) -> dict[str, Any]:
    """Folder and precision → what a classifier or a tagger says."""
    found: dict[str, Any] = {}
    for name, (head, *_) in LABELLERS.items():
        for precision, runtime in (("fp32", "onnxruntime"), ("int8", "native")):
            how = {"precision": precision, "runtime": runtime}
            if head == "classification":
                said = judgements(Classifier.from_options(models / name, **how))
            else:
                said = labelled(Tagger.from_options(models / name, **how))
            found[f"{name} {precision}"] = said
    return found


def fixtures(models: Path) -> dict[str, Any]:
    """File name → what it holds."""
    short = {"seq_len": 64, "stride": 16}
    opened = {
        "bert": QAClient.from_options(models / "bert", **short),
        "roberta": QAClient.from_options(models / "roberta", **short),
        "embedded": QAClient.from_options(runtime="native"),
    }
    return {
        "tokenizers.json": tokenizers(),
        "windows.json": cuts(),
        "spans.json": searches(),
        "sentences.json": cut_sentences(),
        "highlights.json": {name: highlights(client) for name, client in opened.items()},
        "labels.json": {"texts": JUDGED, "tagged": TAGGED, "words": WORDS, "said": labels(models)},
        "answers.json": {name: answers(client) for name, client in opened.items()},
    }


def same(a: Any, b: Any) -> bool:
    """Whether two fixtures agree; numbers may differ a little, for machines round differently."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return a == b or abs(a - b) <= 1e-4
    return a == b


def main() -> None:
    """Writes the files, or names those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    if not parser.parse_args().check:
        write_models(OUT)
        write_labellers(OUT)
        for name, value in fixtures(OUT).items():
            text = json.dumps(value, separators=(",", ":"))
            (OUT / name).write_text(text + "\n", encoding="utf-8")
        return
    differing = [
        name
        for name, value in fixtures(OUT).items()
        if not same(json.loads(json.dumps(value)), json.loads((OUT / name).read_text("utf-8")))
    ]
    if differing:
        sys.exit(f"{', '.join(differing)}: no longer what Python says; run {Path(__file__).name}")


if __name__ == "__main__":
    main()
