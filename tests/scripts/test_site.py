"""The site: built strictly, whole, and with nothing from elsewhere."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import potstill

pytest.importorskip("material", reason="mkdocs-material is not installed: the extra docs")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: the extra docs")

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOADED = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?([^"'\s>]+)""")
LINKED = re.compile(r"""<link[^>]*\shref=["']?([^"'\s>]+)""")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr and "MkDocs 2" not in done.stderr
    return out


def test_every_page_of_docs_and_every_public_name_is_there(site) -> None:
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "articles").glob("*.md")]:
        path = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / path).is_file(), path
    for notebook in (ROOT / "docs" / "articles").glob("*.ipynb"):
        assert (site / "articles" / f"{notebook.stem}-notebook.html").is_file()
    index = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for name in potstill.__all__:
        if name != "__version__":
            assert f"{name}</code>" in index, name


def test_decisions_are_in_the_navigation(site) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for decision in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"decisions/{decision.stem}.html" in home


def test_links_out_of_docs_lead_to_the_files(site) -> None:
    page = (site / "articles" / "speed.html").read_text(encoding="utf-8")
    assert "repository/examples/toxic_trainer.py.html" in page
    shown = (site / "repository" / "examples" / "toxic_trainer.py.html").read_text(encoding="utf-8")
    assert "Trainer" in shown


def test_nothing_is_loaded_from_elsewhere(site) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for url in [*LOADED.findall(text), *LINKED.findall(text)]:
            assert not re.match(r"(https?:)?//", url), (page, url)
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import\s)["']?(https?:)?//""", text), sheet


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_asks_for_nothing_else_and_finds_words(site, width) -> None:
    from playwright.sync_api import sync_playwright

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base, faults = f"http://127.0.0.1:{server.server_address[1]}/", []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(180_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith((base, "data:", "blob:")) or faults.append(r.url),
        )
        for name in ("index.html", "tutorial.html", "help.html", "reference/runtime.html"):
            page.goto(base + name)
            wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, (name, wider)
        page.goto(base + "index.html?q=windows")
        page.wait_for_selector(".md-search-result__item", state="attached")
        browser.close()
    server.shutdown()
    server.server_close()
    assert not faults, faults


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_the_search_finds_words_where_the_site_is_read_from_disk(site) -> None:
    from playwright.sync_api import sync_playwright

    faults: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(180_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or faults.append(r.url))
        page.goto(f"{(site / 'index.html').as_uri()}?q=distillation")
        page.wait_for_selector(".md-search-result__item", state="attached")
        browser.close()
    assert not faults, faults
