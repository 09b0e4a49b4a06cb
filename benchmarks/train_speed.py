"""Training against what people run today: examples a second, in turns, in one sitting.

    python benchmarks/train_speed.py TRAIN [--peer-python PEER/bin/python] [--json] [--record FILE]

Fine-tuning against transformers' question-answering recipe (``run_qa``: windows of 384 padded to
384, batches of 12, AdamW, clipping, a linear rate), and distilling from a warm cache against the
published notebook's trainer: batches of 16 padded to 384, the teacher run beside the student in
every step, the divergence over whole rows at temperature 2. Both peers are written as plain loops
around transformers' own models, so that they pay nothing for a Trainer. All four take the same
questions and are timed step by step, one after the other; what is compared is windows a second.

Exits with 1 where fine-tuning is less than 3 times as fast, or distilling less than 5 times.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare import report, summary
from records import add_options, finish
from worker import Worker

LIMITS = {"finetune": 3.0, "distil": 5.0}
"""How many times the windows a second each verb has to reach."""
WARM_UP = 2
OURS = """
import json, sys, time
verb, values = sys.argv[1], json.loads(sys.argv[2])
import potstill.training.run.course as module
from potstill.training.recipe.file import make_recipe
from potstill.training.run.report import Listeners
from potstill.training.run.sampling import row_count
from potstill.training.start import start as begin

seen = []

class Run(module.Run):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        seen.append(self)

module.Run = Run

def wait():
    if not sys.stdin.readline():
        raise SystemExit

def start(done, n_steps):
    if n_steps < int(sys.argv[3]):
        sys.exit(f"train_speed: error: the data make {n_steps} steps, {sys.argv[3]} are needed: "
                 "give fewer --steps or more data")
    print("ready", flush=True)
    wait()

before = 0.0

def step(report):
    global before
    rows = row_count(seen[0].schedule.step(report.step - 1))
    print(json.dumps({"seconds": report.seconds - before, "rows": rows}), flush=True)
    before = report.seconds
    wait()

begin(make_recipe(values, verb=verb), listeners=Listeners(start=start, step=step))
"""
PEER = """
import json, sys, time
import torch, transformers
from torch.nn import functional as F
values = json.loads(sys.argv[1])
torch.set_num_threads(values["threads"])
torch.manual_seed(0)
load = transformers.AutoModelForQuestionAnswering.from_pretrained
student = load(values["student"]).train()
teacher = load(values["teacher"]).eval() if values["teacher"] else None
tokenizer = transformers.AutoTokenizer.from_pretrained(values["student"])
examples = json.loads(open(values["examples"]).read())
found = tokenizer(
    [e["question"] for e in examples], [e["context"] for e in examples], max_length=384,
    truncation="only_second", stride=128, padding="max_length", return_overflowing_tokens=True,
    return_offsets_mapping=True, return_token_type_ids=True,
)
starts, ends = [], []
for i, offsets in enumerate(found["offset_mapping"]):
    e, kinds = examples[found["overflow_to_sample_mapping"][i]], found.sequence_ids(i)
    first, last = e["start"], e["start"] + len(e["answer"])
    own = [t for t, kind in enumerate(kinds) if kind == 1]
    holds = own and offsets[own[0]][0] <= first and offsets[own[-1]][1] >= last
    starts.append(max(t for t in own if offsets[t][0] <= first) if holds else 0)
    ends.append(min(t for t in own if offsets[t][1] >= last) if holds else 0)
columns = {n: torch.tensor(found[n]) for n in ("input_ids", "attention_mask", "token_type_ids")}
starts, ends = torch.tensor(starts), torch.tensor(ends)
order = torch.randperm(len(starts))
size, at = values["batch"], 0
if len(order) < size:
    sys.exit(f"train_speed: error: {len(order)} windows are fewer than a batch of {size}")
optimizer = torch.optim.AdamW(student.parameters(), lr=2e-5, weight_decay=0.01)
rate = transformers.get_linear_schedule_with_warmup(optimizer, 0, 10_000)
reads_types = [getattr(m.config, "type_vocab_size", 0) > 1 for m in (student, teacher) if m]
print("ready", flush=True)
while sys.stdin.readline():
    began = time.perf_counter()
    rows = order[[(at + i) % len(order) for i in range(size)]]
    at += size
    batch = {name: column[rows] for name, column in columns.items()}
    own = dict(batch) if reads_types[0] else {k: v for k, v in batch.items() if "type" not in k}
    output = student(**own, start_positions=starts[rows], end_positions=ends[rows])
    loss = output.loss
    if teacher is not None:
        own = dict(batch) if reads_types[1] else {k: v for k, v in batch.items() if "type" not in k}
        with torch.no_grad():
            said = teacher(**own)
        parts = [
            F.kl_div(F.log_softmax(a / 2, -1), F.softmax(b / 2, -1), reduction="batchmean") * 4
            for a, b in ((output.start_logits, said.start_logits),
                         (output.end_logits, said.end_logits))
        ]
        loss = 0.5 * (parts[0] + parts[1]) / 2 + 0.5 * loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimizer.step()
    rate.step()
    optimizer.zero_grad()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "rows": size, "version": transformers.__version__}),
          flush=True)
"""


def prepare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Float folders of both models, a file of the questions for each side, and the recipes."""
    from potstill.bundle.find import find_model
    from potstill.data.qa import load_qa
    from potstill.export.bundle import export_bundle

    models: dict[str, str] = {}
    for role in ("student", "teacher"):
        models[role] = str(folder / role)
        export_bundle(getattr(arguments, role), models[role])
    examples = [e for e in load_qa(arguments.train).examples if e.answers][: arguments.examples]
    theirs = [
        {"question": e.question, "context": e.context, "answer": e.answers[0], "start": e.starts[0]}
        for e in examples
    ]
    (folder / "examples.json").write_text(json.dumps(theirs), encoding="utf-8")
    shared = {
        "base": str(find_model(models["student"])),
        "train": str(arguments.train),
        "examples": arguments.examples,
        "epochs": 100.0,  # `max_steps` ends it
        # One more than is asked for: the last step of a run also writes a checkpoint.
        "max_steps": WARM_UP + arguments.steps + 1,
        "batch_tokens": arguments.batch_tokens,
        "threads": arguments.threads,
        "save_minutes": 0.0,
    }
    taught = {"teacher": models["teacher"], "cache": str(folder / "cache")}
    ours = {
        "finetune": {**shared, "out": str(folder / "finetune")},
        "distil": {**shared, **taught, "out": str(folder / "distil")},
    }
    values = {"threads": arguments.threads, "examples": str(folder / "examples.json")}
    peers = {
        "finetune": {**values, "student": models["student"], "teacher": "", "batch": 12},
        "distil": {**values, **models, "batch": 16},
    }
    return {"ours": ours, "peers": peers}


def measure(made: dict[str, Any], verb: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps of both sides in turns; seconds a window of each, and the ratio."""
    n = WARM_UP + arguments.steps
    ours = [OURS, verb, json.dumps(made["ours"][verb]), str(n)]
    if verb == "distil":
        Worker(sys.executable, *ours).close()  # fills the cache
    told: dict[str, list[dict[str, Any]]] = {"transformers": [], "potstill": []}
    with contextlib.ExitStack() as stack:
        workers = {
            "transformers": stack.enter_context(
                Worker(arguments.peer_python, PEER, json.dumps(made["peers"][verb]))
            ),
            "potstill": stack.enter_context(Worker(sys.executable, *ours)),
        }
        for number in range(n):
            names = list(workers)
            for name in names if number % 2 else reversed(names):
                told[name].append(workers[name].ask({}))
    times = {name: [s["seconds"] / s["rows"] for s in own[WARM_UP:]] for name, own in told.items()}
    result = summary(times)
    # The sums say what an epoch costs; a step of few long windows weighs what it took.
    cost = {
        name: sum(s["seconds"] for s in own[WARM_UP:]) / sum(s["rows"] for s in own[WARM_UP:])
        for name, own in told.items()
    }
    result["windows_per_second"] = {name: 1 / seconds for name, seconds in cost.items()}
    result["ratio"]["of_sums"] = cost["transformers"] / cost["potstill"]
    result["peer"] = f"transformers {told['transformers'][0]['version']}"
    result["asked"] = LIMITS[verb]
    return result


def main() -> None:
    """Measures and prints; exit status 1 where a limit is not reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path, help="file of questions with answers")
    parser.add_argument("--student", default="default", help="default, a model folder or a hub id")
    parser.add_argument("--teacher", default="default", help="the same")
    parser.add_argument("--peer-python", default=sys.executable, help="Python with transformers")
    parser.add_argument("--steps", type=int, default=20, help="steps measured of each")
    parser.add_argument("--examples", type=int, default=4000, help="first questions of the file")
    parser.add_argument("--batch-tokens", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbs", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--quick", action="store_true", help="3 steps, as a check that it runs")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps = min(arguments.steps, 3)
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    result: dict[str, Any] = {"threads": arguments.threads, "steps": arguments.steps}
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(arguments, Path(folder))
        for verb in arguments.verbs:
            result[verb] = measure(made, verb, arguments)
    result["short"] = [
        verb for verb in arguments.verbs if result[verb]["ratio"]["of_sums"] < LIMITS[verb]
    ]
    finish("train_speed", result, arguments)
    if not arguments.json:
        for verb in arguments.verbs:
            own, least = result[verb], LIMITS[verb]
            rates = own["windows_per_second"]
            print(
                f"{verb}: {rates['potstill']:.2f} windows a second, {own['peer']} "
                f"{rates['transformers']:.2f}: {own['ratio']['of_sums']:.2f} times, {least:g} asked"
            )
            report(own, "ms a window", 1000)
    if result["short"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
