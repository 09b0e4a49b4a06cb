"""The examples for pages, as a person copies them: with the package as npm has it, in Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent / "node_modules"
EXAMPLES = Path(__file__).parents[2] / "examples"
CLIENT = Path(__file__).parents[2] / "clients" / "js"

pytestmark = pytest.mark.slow


@pytest.fixture
def installed(package: Path, tmp_path: Path):
    """A copy of an example in which the package, and what else it names, is installed."""

    def copied(name: str, *more: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder)
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "potstill").symlink_to(package, target_is_directory=True)
        for one in more:
            (folder / "node_modules" / one).symlink_to(TOOLS / one, target_is_directory=True)
        return folder

    return copied


TYPED = """
import { Classifier, QAClient, Tagger, type Classification, type Entity } from "potstill";
const client = await QAClient.fromOptions();
const answer = await client.predict("Who won?", "It won.");
const text: string | undefined = answer?.text;
const [first] = await client.predict("Who won?", "It won.", { topK: 3 });
const classifier = await Classifier.fromOptions({ model: "x", maxWindows: 2 });
const said: Classification = await classifier.classify("a", "b");
const tagger = await Tagger.fromOptions({ model: "x", aggregation: "max" });
const found: Entity[] = await tagger.tag("a", { ignore: [] });
const tags: string[] = await tagger.tagWords(["a"]);
// @ts-expect-error no such option
await Tagger.fromOptions({ model: "x", agregation: "max" });
// @ts-expect-error no such way
await Tagger.fromOptions({ model: "x", aggregation: "last" });
console.log(text, first.text, said.chosen, found, tags);
"""


@pytest.mark.parametrize("platform", ["node", "browser"])
def test_types_are_strict(package, tmp_path, platform):
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "potstill").symlink_to(package, target_is_directory=True)
    (tmp_path / "main.mts").write_text(TYPED, encoding="utf-8")
    tsc = CLIENT / "node_modules" / ".bin" / "tsc"
    where = ["--module", "nodenext"]
    if platform == "browser":
        where = ["--module", "esnext", "--moduleResolution", "bundler"]
        where += ["--customConditions", "browser"]
    options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2023,dom", "--types", ""]
    command = [str(tsc), *options, *where, "main.mts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plain_page_answers(installed, browse):
    page, faults = browse(installed("plain"))
    page.wait_for_selector("#ask:enabled", timeout=240_000)
    before = page.text_content("#text")
    page.click("#ask")
    page.wait_for_selector("mark", timeout=60_000)
    assert page.text_content("mark") == "Aeneas Coffey"
    assert page.text_content("#text") == before
    assert re.fullmatch(r"Aeneas Coffey \(\d+%\)", page.text_content("#said"))
    page.fill("#question", " ")
    page.click("#ask")
    page.wait_for_function("document.querySelector('#said').textContent.includes('empty')")
    assert not faults, faults


@pytest.mark.skipif(not (TOOLS / "react").is_dir(), reason="needs vite and React: make bundlers")
def test_the_react_app_answers(installed, browse):
    folder = installed("react", "react", "react-dom", "vite")
    named = json.loads((folder / "package.json").read_text("utf-8"))
    assert set(named["dependencies"]) == {"potstill", "react", "react-dom"}
    path = f"{TOOLS / '.bin'}{os.pathsep}{os.environ['PATH']}"
    command = [shutil.which("npm"), "run", "build"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page, faults = browse(folder / "dist")
    page.wait_for_selector("button:enabled", timeout=240_000)
    page.click("button")
    page.wait_for_selector("mark", timeout=60_000)
    assert page.text_content("mark") == "Aeneas Coffey"
    text, question = page.get_by_label("Text"), page.get_by_label("Question")
    text.fill("The old king built a tower. The queen wrote a book.")
    question.fill("What did the queen write?")
    page.click("button")
    page.wait_for_function("document.querySelector('mark')?.textContent === 'a book'")
    question.fill(" ")
    page.click("button")
    page.wait_for_selector("[role=alert]")
    assert "empty" in page.text_content("[role=alert]")
    assert not faults, faults
