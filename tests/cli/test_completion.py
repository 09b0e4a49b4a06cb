"""Completion in a shell: bash itself is asked, where it is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or not (BIN / "potstill").exists(),
    reason="needs bash and potstill's script",
)

# What bash does when Tab is pressed: it calls the function that the script has registered, with
# the words in COMP_WORDS, and takes what is in COMPREPLY.
_PRESSED = """
eval "$(_POTSTILL_COMPLETE=bash_source potstill)"
complete -p potstill
compopt() { echo "compopt $1 $2"; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_potstill_completion potstill "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
FILES = "compopt -o default"
"""What has bash go on with the files that there are."""


def pressed(*words):
    """What bash completes ``potstill WORDS``, the last of them begun, with."""
    done = subprocess.run(
        ["bash", "--norc", "-c", _PRESSED, "bash", "potstill", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    registered, *found = done.stdout.splitlines()
    assert "_potstill_completion" in registered, done.stderr
    return [word for word in found if word]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["high"], ["highlight"]),
        (["ask", "--cont"], ["--context"]),
        (["ask", "Who?", "repo"], [FILES]),
        (["ask", "Who?", "--index", ""], [FILES]),
        (["ask", "Who?", "--model", "sm"], ["small"]),
        (["ask", "Who?", "--model", "runs/"], [FILES]),
        (["ask", "Who?", "--runtime", "openv"], ["openvino", "openvino:bf16"]),
        (["bulk", "in.js"], [FILES]),
        (["finetune", "squad-mp"], ["squad-mpnet-teacher"]),
        (["finetune", "./"], [FILES]),
        (["bulk", "a", "b", "--give", "high"], ["highlight"]),
    ],
)
def test_bash_completes_verbs_options_names_and_files(words, expected):
    assert pressed(*words) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell):
    script = subprocess.run(
        [BIN / "potstill"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_POTSTILL_COMPLETE": f"{shell}_source"},
    )
    assert "_POTSTILL_COMPLETE" in script.stdout and "potstill" in script.stdout
