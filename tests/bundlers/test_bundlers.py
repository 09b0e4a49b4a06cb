"""The npm package as people bundle it: built with each bundler's defaults, opened in Chromium.

`make bundlers` installs what this needs, which is nothing that the rest of the tests need.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOLS = HERE / "node_modules"
FIXTURES = HERE.parents[1] / "clients" / "js" / "test" / "fixtures"
NODE, NPM = shutil.which("node"), shutil.which("npm")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

MAIN = """
import { Classifier, QAClient } from "potstill";

async function main() {
  const client = await QAClient.fromOptions({ model: "./reader/" });
  const answer = await client.predict("Who won?", "The Denver Broncos won the title.");
  const classifier = await Classifier.fromOptions({ model: "./labels/", precision: "int8" });
  const { chosen } = await classifier.classify("The queen wrote a red book.");
  return { ...answer, runtime: client.model.runtime, chosen };
}
main().then(
  (answer) => (document.body.textContent = JSON.stringify(answer)),
  (error) => (document.body.textContent = JSON.stringify({ error: String(error) })),
);
"""
PAGE = '<!doctype html><meta charset="utf-8"><title>page</title>{}<body></body>'
WEBPACK = ["webpack", "--entry", "./main.js", "--output-path", "out"]
ROLLUP = ["rollup", "main.js", "-f", "es", "-o", "out/main.js", "-p"]
BUILDS: dict[str, tuple[list[str], str]] = {
    "vite": (["vite", "build", "--outDir", "out"], ""),
    "webpack": ([*WEBPACK, "--mode", "production"], "main.js"),
    "esbuild": (["esbuild", "main.js", "--bundle", "--outfile=out/main.js"], "main.js"),
    "rollup": ([*ROLLUP, "node-resolve={browser: true}"], "main.js"),
}
"""Bundler → its command, and the script of the page where it writes no page itself."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (NODE and NPM), reason="needs Node 20 and npm"),
    pytest.mark.skipif(not (TOOLS / "vite").is_dir(), reason="needs the bundlers: make bundlers"),
]


@pytest.fixture
def project(package: Path, tmp_path: Path) -> Path:
    """An empty project that has installed the package."""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "potstill").symlink_to(package, target_is_directory=True)
    # rollup asks for its plugin where it is called.
    (tmp_path / "node_modules" / "@rollup").symlink_to(TOOLS / "@rollup", target_is_directory=True)
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (tmp_path / "main.js").write_text(MAIN, encoding="utf-8")
    script = '<script type="module" src="/main.js"></script>'
    (tmp_path / "index.html").write_text(PAGE.format(script), encoding="utf-8")
    return tmp_path


def built(project: Path, bundler: str) -> Path:
    (name, *options), script = BUILDS[bundler]
    command = [str(TOOLS / ".bin" / name), *options]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "node:" not in done.stderr and "externalized" not in done.stderr, done.stderr
    out = project / "out"
    if script:
        page = PAGE.format(f'<script type="module" src="{script}"></script>')
        (out / "index.html").write_text(page, encoding="utf-8")
    return out


@pytest.mark.parametrize("bundler", [*BUILDS, "none"])
def test_a_page_answers(
    project: Path, package: Path, bundler: str, record_property, request
) -> None:
    if bundler == "none":  # a plain module script
        out = project / "out"
        out.mkdir()
        shutil.copy(package / "dist" / "browser.js", out / "potstill.js")
        code = MAIN.replace('"potstill"', '"./potstill.js"')
        page = PAGE.format(f'<script type="module">{code}</script>')
        (out / "index.html").write_text(page, encoding="utf-8")
    else:
        out = built(project, bundler)
    scripts = sum(file.stat().st_size for file in out.rglob("*.js"))
    record_property("bytes of scripts", scripts)
    assert scripts < 260_000  # both forms of the engine among them, packed
    if CHROMIUM is None:
        pytest.skip("built, but there is no Chromium to open it: apt-get install chromium")
    shutil.copytree(package / "models" / "reader", out / "reader")
    shutil.copytree(FIXTURES / "single", out / "labels")
    page, faults = request.getfixturevalue("browse")(out)
    page.wait_for_function("document.body.textContent.startsWith('{')", timeout=240_000)
    answer = json.loads(page.text_content("body") or "{}")
    assert not faults, faults
    assert answer["text"] == "The Denver Broncos", answer
    assert (answer["start"], answer["end"], answer["runtime"]) == (0, 18, "native")
    said = json.loads((FIXTURES / "labels.json").read_text(encoding="utf-8"))
    assert answer["chosen"] == said["said"]["single int8"][0]["said"][0]["chosen"]


def test_three_lines_in_an_empty_project(project: Path) -> None:
    code = """
    import { QAClient } from "potstill";
    const client = await QAClient.fromOptions();
    console.log(JSON.stringify(await client.predict("Who won?", "The Denver Broncos won.")));
    """
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", code],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] == "The Denver Broncos"


def test_the_file_for_pages_names_nothing_of_nodes(package: Path) -> None:
    text = (package / "dist" / "browser.js").read_text(encoding="utf-8")
    assert not re.search(r"\bnode:\w|\brequire\(", text)
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    assert "dependencies" not in about
