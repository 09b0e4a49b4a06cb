"""One comment at a time through a toxic-comment model: potstill against the post's own form.

    python benchmarks/classify.py MODEL DATA [-n 300] [--threads 1] [--in-a-row 10]
        [--peer-python PEER/bin/python]

MODEL is a BERT classifier's folder with weights (a run, or an export with ``--format hf --format
int8``), DATA a CSV, TSV or JSONL with a column of texts, packed or not. Three systems are given the
same texts, so many in a row one at a time, in turns, and time their own calls; loading is left out,
and potstill has a process of its own. With ``--in-a-row 1`` the systems take turns after every
text, with a pause between them, so that every call is the first after an idle time:

post      the function of the post on tiny distilled models: transformers, every text padded to 200
          tokens, no attention mask, a sigmoid of the logits
torch     the same model at its best: no padding, inference mode
potstill  `Classifier.classify`, with the file that `potstill classify` would run

PEER is a python with transformers and torch; by default the one that runs this.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from compare import OURS, report, summary
from worker import Worker

from potstill.data.classification import load_texts
from potstill.data.glue import layout_of
from potstill.errors import PotstillError

POST = "post"
TORCH = "torch"
_WARM_UP = 20

_LOOP = """
print("ready", flush=True)
for line in sys.stdin:
    item = json.loads(line)
    score = systems[item["system"]]
    began = time.perf_counter()
    scores = score(item["text"])
    took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "scores": [float(s) for s in scores]}), flush=True)
"""
# `post` is the function of "Speed and power: fine-tuning distilled transformers models" (2021) in
# today's spelling; there no text was cut, here those beyond 200 tokens are, by all three.
_PEER = """
import json, sys, time
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
torch.set_num_threads(int(sys.argv[2]))
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], dtype=torch.float32).eval()

def post(text):
    inputs = tokenizer(
        text, max_length=200, padding="max_length", truncation=True,
        return_token_type_ids=False, return_attention_mask=False,
    )
    token_ids = torch.tensor(inputs["input_ids"], dtype=torch.long).reshape(1, -1)
    logits = model(token_ids).logits
    return torch.sigmoid(logits[0]).cpu().detach().numpy()

def at_its_best(text):
    inputs = tokenizer(text, max_length=200, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return torch.sigmoid(model(**inputs).logits[0]).numpy()

systems = {"post": post, "torch": at_its_best}
"""
_OURS = """
import json, sys, time
from dataclasses import replace
from potstill.runtime.classification import Classifier
how = {"threads": int(sys.argv[2]), "seq_len": 200, "max_windows": 1}
opened = Classifier.from_options(sys.argv[1], **how)
# Plain probabilities, as the others give them: the bundle's temperatures are left out.
plain = replace(opened.options, temperatures=(1.0,), thresholds=(0.5,))
classifier = Classifier(opened.tokenizer, opened.session, plain)

def score(text):
    said = {label.label: label.score for label in classifier.classify(text).labels}
    return [said[label] for label in plain.labels]

systems = {"potstill": score}
"""


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--format", default="jigsaw", help="of the data, as in a recipe")
    parser.add_argument("-n", type=int, default=300, help="texts, chosen at random")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--in-a-row", type=int, default=10, metavar="N", help="texts of a turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer-python", default=sys.executable)
    arguments = parser.parse_args()
    if arguments.in_a_row < 1:
        parser.error(f"--in-a-row is {arguments.in_a_row}: give 1 or more")
    try:
        examples = load_texts(arguments.data, layout_of(arguments.format), labelled=False).examples
    except PotstillError as error:
        print(f"classify: error: {error}", file=sys.stderr)
        return 1
    chosen = random.Random(arguments.seed).sample(examples, min(arguments.n, len(examples)))
    where = str(arguments.model), str(arguments.threads)
    peer = Worker(arguments.peer_python, _PEER + _LOOP, *where)
    workers = {POST: peer, TORCH: peer, OURS: Worker(sys.executable, _OURS + _LOOP, *where)}
    times: dict[str, list[float]] = {name: [] for name in workers}
    largest = 0.0
    warm_up, size = chosen[:_WARM_UP], arguments.in_a_row
    blocks = [chosen[at : at + size] for at in range(0, len(chosen), size)]
    for number, block in enumerate([warm_up, *blocks]):
        names = list(workers) if number % 2 else list(reversed(workers))
        found = {
            n: [
                workers[n].ask({"system": n, "text": example.text}, at_once=at > 0)
                for at, example in enumerate(block)
            ]
            for n in names
        }
        for theirs, ours in zip(found[TORCH], found[OURS], strict=True):
            pairs = zip(theirs["scores"], ours["scores"], strict=True)
            largest = max(largest, *(abs(a - b) for a, b in pairs))
        if number:
            for name in names:
                times[name] += [one["seconds"] for one in found[name]]
    for worker in (peer, workers[OURS]):
        worker.close()
    result = {"threads": arguments.threads, "in_a_row": size, **summary(times, slow=POST)}
    result["over_torch"] = result[TORCH]["median"] / result[OURS]["median"]
    result["largest_difference"] = largest
    report(result, "ms", 1000, names=(POST, TORCH, OURS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
