"""An index of much text: how long it takes, how large it gets, and how soon it answers.

    python benchmarks/index.py CORPUS [--megabytes N] [--changed 1000] [--kills 0]

CORPUS is a text file or a folder of them, with titles as dumps of Wikipedia have them (`= Title
=`); every article becomes a file. Measured are time, peak memory and size of the first index; an
update after ``--changed`` files were changed, and one after none was; a question in a process
that has the index open, and in a new one. Beside the seconds of the clock stand those of the
processor, which others on the machine do not lengthen. ``--kills`` updates are ended by kill −9 at
a random moment, and what is in the index afterwards is compared with the files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from records import add_options, finish

from potstill import QAClient
from potstill.bundle.manifest import sha256_of
from potstill.data.text import documents
from potstill.errors import PotstillError
from potstill.retrieval.index import FOLDER, Index

QUESTIONS = (
    "Who discovered penicillin?", "What is the capital of Australia?",
    "When was the Battle of Hastings?", "How many bones are in the human body?",
    "Which element has the atomic number 79?", "Who wrote the Aeneid?",
    "What language is spoken in Brazil?", "When did the Apollo 11 land on the Moon?",
)  # fmt: skip
_UPDATE = """
import json, resource, sys, time
def processor():
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in both)
from potstill.retrieval.index import Index
began = time.perf_counter()
changes = Index.open(sys.argv[1], create=True).update()
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "seconds": time.perf_counter() - began, "processor": processor(),
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
    "added": changes.added, "changed": changes.changed, "unchanged": changes.unchanged,
}))
"""


def write_files(corpus: str, folder: Path, megabytes: float) -> tuple[int, int]:
    """Writes articles as files, a thousand in each folder; gives how many, and their bytes."""
    n = size = 0
    for document in documents(corpus):
        if size >= megabytes * 1e6:
            break
        text = "\n\n".join((document.title, *document.paragraphs)).encode()
        place = folder / f"{n // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / f"{n:06}.txt").write_bytes(text)
        n += 1
        size += len(text)
    return n, size


def update(folder: Path) -> dict[str, Any]:
    """Brings the index up to date, in a process of its own."""
    command = [sys.executable, "-c", _UPDATE, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def change(files: list[Path], word: str) -> None:
    """Puts another word at the beginning of files."""
    for file in files:
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{word} {text}", encoding="utf-8")


def kill(folder: Path, files: list[Path], times: int) -> tuple[int, int]:
    """Ends updates at random moments; gives how often that was in time, and the index whole.

    Whole is: it opens, every file stands in it once and has the passages that its record says, and
    those that were changed are as they were before or as they are, in the record and in what is
    found.
    """
    pick = random.Random(0)
    known = {os.path.relpath(file, folder).replace(os.sep, "/") for file in files}
    change(pick.sample(files, min(200, len(files))), "killed")
    began = time.perf_counter()
    update(folder)
    longest = time.perf_counter() - began
    whole = in_time = 0
    for number in range(times):
        word = f"kill{number}x"
        some = pick.sample(files, min(200, len(files)))
        old = {record.name: record.sha256 for record in Index.open(folder).files()}
        change(some, word)
        new = {file: sha256_of(file) for file in some}
        command = [sys.executable, "-c", _UPDATE, str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(pick.uniform(0.2 * longest, longest))
        child.kill()
        in_time += child.wait() != 0
        index = Index.open(folder)
        records = {record.name: record for record in index.files()}
        names = {os.path.relpath(file, folder).replace(os.sep, "/"): new[file] for file in some}
        taken = {name for name, sha256 in names.items() if records[name].sha256 == sha256}
        left = all(records[name].sha256 == old[name] for name in records.keys() - taken)
        n_passages = sum(record.n_passages for record in records.values())
        found = {index.name_of(hit.name) for hit in index.search(word, len(some))}
        good = records.keys() == known and index.n_passages == n_passages and left
        whole += good and found == taken
    update(folder)
    return in_time, whole


def cold(folder: Path, question: str) -> tuple[float, float]:
    """Seconds of a new process for one question, by the clock and of the processor."""
    began, before = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "potstill", "ask", question, "--index", str(folder), "--json"]
    subprocess.run(command, check=True, capture_output=True)
    took, now = time.perf_counter() - began, os.times()
    used = now.children_user + now.children_system
    return took, used - before.children_user - before.children_system


def measure(corpus: str, megabytes: float, changed: int, kills: int) -> dict[str, Any]:
    """The whole benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_files, size = write_files(corpus, folder, megabytes)
        files = sorted(folder.glob("*/*.txt"))
        first = update(folder)
        on_disk = sum(file.stat().st_size for file in (folder / FOLDER).rglob("*"))
        change(random.Random(0).sample(files, min(changed, len(files))), "changed")
        again = update(folder)
        nothing = update(folder)
        index, reader = Index.open(folder), QAClient.from_options()
        warm: list[tuple[float, float]] = []
        for question in (QUESTIONS[0], *QUESTIONS, *QUESTIONS):
            began, before = time.perf_counter(), time.process_time()
            index.ask(question, reader)
            warm.append((time.perf_counter() - began, time.process_time() - before))
        fresh = [cold(folder, question) for question in QUESTIONS[:4]]
        in_time, whole = kill(folder, files, kills) if kills else (0, 0)
        found = {
            "files": n_files,
            "bytes": size,
            "passages": index.n_passages,
            "seconds": first["seconds"],
            "processor": first["processor"],
            "memory": first["memory"],
            "size_share": on_disk / size,
            "changed": again["changed"],
            "changed_seconds": again["seconds"],
            "changed_processor": again["processor"],
            "unchanged_seconds": nothing["seconds"],
            "unchanged_processor": nothing["processor"],
            "warm": statistics.median(seconds for seconds, _ in warm[1:]),
            "warm_processor": statistics.median(used for _, used in warm[1:]),
            "cold": statistics.median(seconds for seconds, _ in fresh),
            "cold_processor": statistics.median(used for _, used in fresh),
            "kills": kills,
            "in_time": in_time,
            "whole": whole,
        }
        shutil.rmtree(folder / FOLDER)
        return found


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run, or an index was not whole."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("--megabytes", type=float, default=250.0)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=0)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(given.corpus, given.megabytes, given.changed, given.kills)
    except PotstillError as error:
        print(f"index: {error}", file=sys.stderr)
        return 1
    finish("index", found, given)
    if not given.json:
        print(
            f"{found['files']:,} files, {found['bytes'] / 1e6:.1f} MB, "
            f"{found['passages']:,} passages\n"
            f"first index {found['seconds']:.1f} s ({found['processor']:.1f} of the processor), "
            f"{found['memory'] / 1e6:.0f} MB of memory, "
            f"{found['size_share']:.3f} of the text on disk\n"
            f"{found['changed']:,} files changed: {found['changed_seconds']:.1f} s "
            f"({found['changed_processor']:.1f}); none: {found['unchanged_seconds']:.2f} s "
            f"({found['unchanged_processor']:.2f})\n"
            f"a question, warm {found['warm']:.3f} s ({found['warm_processor']:.3f}), in a new "
            f"process {found['cold']:.3f} s ({found['cold_processor']:.3f})"
        )
        if given.kills:
            print(
                f"killed {given.kills} times, {found['in_time']} before the end: "
                f"whole {found['whole']} times"
            )
    return int(found["whole"] < found["kills"])


if __name__ == "__main__":
    sys.exit(main())
