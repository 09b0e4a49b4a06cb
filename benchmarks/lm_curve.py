"""A language model's loss on held-out text, with its teacher and without: equal steps, one start.

    python benchmarks/lm_curve.py BASE CORPUS OUT --steps 400 [--head-steps 400] [KEY=VALUE …]

BASE is a model folder or hub id, CORPUS plain text. Both students take the same layers of BASE and
the same masks, rows and rates (recipes/lm-distil.toml; any key of it can be given); the one
without a teacher has alpha_ce=0 and alpha_cos=0. A BASE without a masked-LM head is given one first
(recipes/mlm-head.toml). The curves are written to OUT/curves.json. A call that was cut off goes on
where it was when it is made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.size import parameters
from potstill.bundle.weights import read_weights
from potstill.errors import PotstillError
from potstill.training.lm import train_lm
from potstill.training.lm_distil import distil_lm
from potstill.training.recipe_file import read_recipe
from potstill.training.runs import Listeners, without_paths

RECIPES = Path(__file__).parents[1] / "recipes"
ARMS = {
    "with teacher": [],
    "without teacher": ["alpha_ce=0", "alpha_mlm=1", "alpha_cos=0"],
}


def say(line: str) -> None:
    """Notes go where progress goes; the result alone is standard output."""
    print(line, file=sys.stderr, flush=True)


def with_head(base: str, out: Path, steps: int, overrides: list[str]) -> Path:
    """The folder of ``base``, or of the same encoder with a head that was trained here."""
    folder = find_model(base)
    weights = read_weights(folder, read_config(folder), head="mlm", require_head=False)
    if "lm_head.bias" in weights:
        return folder
    values = [f"base={folder}", f"out={out}", f"max_steps={steps}", *overrides]
    recipe: Any = read_recipe(RECIPES / "mlm-head.toml", values)
    scores = train_lm(recipe, resume=True, listeners=Listeners(note=say))
    say(f"the head of {base} after {steps} steps: {scores}")
    return out


def curve(out: Path) -> list[list[float]]:
    """``[step, loss]`` of every step that was scored."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    # A finished run that is started again scores its last step once more.
    found = {line["step"]: round(line["mlm_loss"], 4) for line in lines if "mlm_loss" in line}
    return [[step, loss] for step, loss in sorted(found.items())]


def arm(name: str, values: list[str]) -> dict[str, Any]:
    """Trains one student and says what came of it."""
    recipe: Any = read_recipe(RECIPES / "lm-distil.toml", values, verb="distil")
    say(f"{name}: {distil_lm(recipe, resume=True, listeners=Listeners(note=say))}")
    out = Path(recipe.out)
    hardware = json.loads((out / "potstill.json").read_text(encoding="utf-8"))["hardware"]
    return {
        "curve": curve(out),
        "training_seconds": hardware["training_seconds"],
        "device": hardware["device"],
        "parameters": parameters(read_config(out)),
        "recipe": without_paths(recipe),
    }


def main() -> None:
    """Reads the command line, trains both students and writes their curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("base")
    parser.add_argument("corpus")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=400, help="of each student")
    parser.add_argument("--head-steps", type=int, default=400, help="of a head that is lacking")
    parser.add_argument("--sequences", type=int, default=64, help="rows of a step")
    parser.add_argument("--evaluate", type=int, default=20, help="steps between two points")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the students' recipe")
    given = parser.parse_intermixed_args()
    shared = [f"corpus={given.corpus}", f"threads={given.threads}"]
    text = [o for o in given.overrides if o.partition("=")[0] in _TEXT]
    students: dict[str, dict[str, Any]] = {}
    try:
        base = with_head(given.base, given.out / "teacher", given.head_steps, [*shared, *text])
        for name, alphas in ARMS.items():
            values = [
                f"base={base}",
                f"out={given.out / name.replace(' ', '-')}",
                f"max_steps={given.steps}",
                f"evaluate_steps={given.evaluate}",
                f"sequences_per_step={given.sequences}",
            ]
            students[name] = arm(name, [*values, *shared, *given.overrides, *alphas])
        teacher = {"parameters": parameters(read_config(base))}
    except PotstillError as error:
        raise SystemExit(f"lm_curve.py: {error}") from None
    result = {
        "curves": {name: found.pop("curve") for name, found in students.items()},
        "teacher": teacher,
        "students": students,
    }
    write_json(given.out / "curves.json", result)
    print(json.dumps(result))


_TEXT = ("seq_len", "holdout", "max_rows", "cache", "precision", "device", "batch_tokens", "seed")
"""Keys of the students' recipe that hold for their teacher's head, too."""

if __name__ == "__main__":
    main()
