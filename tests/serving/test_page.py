"""The page, in headless Chromium as Debian packages it; left out where there is none."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from pdfs import made
from potstill import QAClient
from potstill.bundle.find import find_model
from potstill.bundle.manifest import read_manifest, write_manifest
from potstill.retrieval.index import Index
from potstill.serving.options import ServeOptions
from running import Running, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

WHISKY = "🥃 In 1830 Aeneas Coffey, a former exciseman from Dublin, patented the column still."
QUESTION = "Who patented the column still?"


@pytest.fixture(scope="module")
def site():
    with Running(ServeOptions(token="secret")) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(site, browser):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    made = context.new_page()
    faults = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("request", lambda r: r.url.startswith(site.url) or faults.append(r.url))
    made.on("console", lambda m: faults.append(m.text) if "Security Policy" in m.text else None)
    made.goto(site.url)
    made.click("summary")
    made.fill("#token", "secret")
    yield made
    assert not faults, faults
    context.close()


def ask(page, text, question):
    page.fill("#context", text)
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_selector("#result:not([hidden])")
    wait_until(lambda: page.evaluate("!document.querySelector('#ask').disabled"))


def test_a_question_is_answered_and_marked_in_its_text(page):
    ask(page, WHISKY, QUESTION)
    expected = QAClient.from_options().predict(QUESTION, WHISKY, max_answer_tokens=15)
    assert page.inner_text("#answer").startswith(expected.text)
    assert page.inner_text("#text mark") == expected.text
    assert page.inner_text("#text") == WHISKY
    assert page.locator("#candidates li").count() == 4
    assert 0 <= float(page.get_attribute("#null", "value")) <= 1
    assert page.locator("#times dd").count() == 4


def test_nothing_is_marked_where_the_text_does_not_tell_until_it_is_looked_at(page):
    ask(page, WHISKY, "Who won the 1998 World Cup?")
    assert page.inner_text("#answer").startswith("The text does not seem to say.")
    assert page.locator("#text mark").count() == 0
    assert page.inner_text("#text") == WHISKY
    assert "(0.0%)" not in page.inner_text("#candidates")
    page.click("#candidates li:nth-child(1) button")
    assert page.locator("#text mark").count() == 1


def test_the_mark_of_a_long_text_is_in_sight(page):
    ask(page, "\n\n".join(["Malt whisky is made in pots."] * 60 + [WHISKY]), QUESTION)
    inside = page.evaluate("""() => {
      const box = document.querySelector("#text").getBoundingClientRect();
      const mark = document.querySelector("#text mark").getBoundingClientRect();
      return mark.top >= box.top && mark.bottom <= box.bottom;
    }""")
    assert inside


def test_other_candidates_and_the_heat_can_be_looked_at(page):
    ask(page, WHISKY, QUESTION)
    page.click("#candidates li:nth-child(2) button")
    second = page.inner_text("#candidates li:nth-child(2) button").rpartition(" (")[0]
    assert page.inner_text("#text mark") == second
    assert page.get_attribute("#candidates li:nth-child(2) button", "aria-pressed") == "true"
    for kind in ("p_start", "p_end"):
        page.check(f"[value={kind}]")
        assert page.locator("#text .hot").count() >= 1
        assert page.inner_text("#text") == WHISKY
        shown = page.locator("#text .hot").first.evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        assert shown.startswith("rgba(")


def test_files_are_asked_together_and_the_answer_says_where_it_stands(page):
    html = b"<h1>Stills</h1><p>Aeneas <b>Coffey</b> patented it.</p><script>no()</script>"
    files = [
        {"name": "a.html", "mimeType": "text/html", "buffer": html},
        {"name": "b.bin", "mimeType": "application/x", "buffer": b"\0\1\2"},
        {"name": "c.txt", "mimeType": "text/plain", "buffer": "Café in 1830.".encode("latin-1")},
    ]
    waiting = []

    def hold(route):
        waiting.append(route)

    page.route(re.compile("name=a.html"), hold)
    with page.expect_request(re.compile("name=a.html")):
        page.set_input_files("#file", files)
    page.wait_for_selector("#ask:disabled")  # what is asked is of the files
    assert page.inner_text("#status") == "Reading a.html (1 of 3)…"
    waiting[0].continue_()
    page.wait_for_selector("#ask:enabled")
    page.wait_for_selector("#status.bad")
    text = "Stills\n\nAeneas Coffey patented it.\n\nCafé in 1830."
    assert page.input_value("#context") == text
    assert page.inner_text("#status").startswith("2 files: 49 characters. Not read: b.bin: ")
    page.fill("#question", "Who patented it?")
    page.click("#ask")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#place") == "a.html, Stills"
    assert page.inner_text("#answer").startswith(page.inner_text("#text mark"))
    places = page.locator("#candidates small").all_inner_texts()
    assert places[0] == "a.html, Stills" and set(places) <= {"a.html, Stills", "c.txt"}
    assert page.is_hidden("#no-answer") and page.is_hidden("#heat")
    page.fill("#context", "Another text.")
    assert page.is_hidden("#result")
    dropped = """() => {
      const data = new DataTransfer();
      data.items.add(new File(['# A title'], 'b.md'));
      document.querySelector('#form').dispatchEvent(new DragEvent('drop', {dataTransfer: data}));
    }"""
    page.evaluate(dropped)
    wait_until(lambda: page.evaluate("document.querySelector('#context').value === '# A title'"))


def test_a_folder_is_asked_and_its_files_are_told_apart_by_their_paths(page, tmp_path):
    texts = {
        "a/notes.txt": "The pot is of copper.",
        "b/notes.txt": "Aeneas Coffey patented it.",
        ".git/x": "Aeneas Coffey patented nothing.",
    }
    for name, text in texts.items():
        (tmp_path / "papers" / name).parent.mkdir(parents=True)
        (tmp_path / "papers" / name).write_text(text)
    page.set_input_files("#folder", tmp_path / "papers")
    wait_until(lambda: page.inner_text("#status").startswith("2 files: "))
    page.fill("#question", "Who patented it?")
    page.click("#ask")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#place") == "papers/b/notes.txt"
    page.fill("#question", "Which elephants sing?")
    page.click("#ask")
    wait_until(lambda: "documents do not" in page.inner_text("#answer"))
    assert page.is_hidden("#inside")


def test_what_went_wrong_is_said(page):
    page.fill("#token", "wrong")
    page.click("#ask")
    page.wait_for_selector("#status.bad")
    assert "token" in page.inner_text("#status")
    assert page.is_hidden("#result")
    page.fill("#token", "secret")
    page.fill("#context", "  ")
    page.click("#ask")
    wait_until(
        lambda: page.evaluate("document.querySelector('#status').textContent.includes('empty')")
    )


def test_snippets_run(page, site, monkeypatch):
    ask(page, WHISKY, "Who's the “patentee” of the column still?")
    monkeypatch.setenv("POTSTILL_TOKEN", "secret")
    programs = {"python": [sys.executable, "-c"], "curl": ["bash", "-c"]}
    if shutil.which("node"):
        programs["javascript"] = ["node", "--input-type=module", "-e"]
    for kind, command in programs.items():
        page.click(f"[data-copy={kind}]")
        code = page.inner_text("#snippet")
        assert "secret" not in code
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        done = subprocess.run([*command, code], capture_output=True, text=True, timeout=60)
        assert "Aeneas Coffey" in done.stdout, done.stderr


def test_the_documents_of_the_server_are_asked(browser, tmp_path):
    (tmp_path / "stills.md").write_text(f"# Stills\n\n{WHISKY}\n")
    Index.open(tmp_path, create=True).update()
    with Running(ServeOptions(index=str(tmp_path))) as running:
        page = browser.new_page()
        page.goto(running.url)
        page.wait_for_selector("#of:not([hidden])")
        assert "1 passages" in page.inner_text("#of")
        page.check("#of-index")
        assert page.is_hidden("#context")
        page.click("#ask")
        page.wait_for_selector("#result:not([hidden])")
        assert page.inner_text("#answer").startswith("Aeneas Coffey")
        assert page.inner_text("#text mark") == "Aeneas Coffey"
        assert page.inner_text("#place") == "stills.md, line 3, Stills"
        assert page.locator("#times dd").count() == 4
        page.click("[data-copy=python]")
        code = page.inner_text("#snippet")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ast.literal_eval(done.stdout)[0]["source"] == "stills.md", done.stderr
        page.check("#of-text")
        assert page.is_hidden("#result") and page.is_visible("#context")
        page.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    small = tmp_path_factory.mktemp("readers") / "small"
    shutil.copytree(find_model("small"), small)
    write_manifest(small, replace(read_manifest(small), no_answer=False))
    with Running(ServeOptions(models={"large": "default", "small": str(small)})) as running:
        yield running


def test_one_of_several_models_is_asked_by_the_page_and_by_its_snippets(two, browser, monkeypatch):
    page = browser.new_page()
    page.goto(two.url)
    page.wait_for_selector("#model:not([hidden])")
    page.select_option("#model", "small")
    with page.expect_response("**/explain") as answered:
        ask(page, WHISKY, "Who's the “patentee” of the column still? 🥃")
    found = answered.value.json()
    assert found["model"] == "small"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    page.click("[data-copy=python]")
    code = page.inner_text("#snippet")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    answers = ast.literal_eval(done.stdout)
    assert [a["start"] for a in answers] == [a["start"] for a in found["answers"]], done.stderr
    assert answers[0]["score"] == pytest.approx(found["answers"][0]["score"], abs=1e-5)
    assert page.is_hidden("#no-answer")  # this one cannot refuse
    page.select_option("#model", "large")
    assert page.is_hidden("#result")
    ask(page, WHISKY, QUESTION)
    assert page.is_visible("#no-answer")
    page.close()


def test_a_pdf_is_read_by_the_server(page):
    data = made("Aeneas Coffey patented", "it in 1830.")
    file = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": data}
    page.set_input_files("#file", file)
    wait_until(lambda: "2 pages" in page.inner_text("#status"))
    assert page.input_value("#context") == "Aeneas Coffey patented\n\nit in 1830."
    assert page.inner_text("#status") == "a.pdf: 2 pages, 35 characters."
    page.set_input_files("#file", {**file, "buffer": b"%PDF-1.4 and no more"})
    page.wait_for_selector("#status.bad")
    assert "damaged" in page.inner_text("#status")


def test_it_fits_a_narrow_screen_in_light_and_dark(page):
    ask(page, WHISKY, QUESTION)
    page.check("[value=p_start]")
    page.click("[data-copy=curl]")
    for scheme, dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        red, *_ = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        assert (red < 128) == dark


def test_it_can_be_used_without_a_mouse_or_eyes(page):
    unnamed = page.evaluate("""() => [...document.querySelectorAll('input, textarea, select')]
      .filter(e => !e.labels?.length || ![...e.labels].some(l => l.textContent.trim()))
      .map(e => e.id)""")
    assert unnamed == []
    assert page.get_attribute("#status", "aria-live") == "polite"
    assert page.get_attribute("html", "lang") == "en"
    page.focus("#context")
    for expected in ("question", "ask"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == expected


def test_the_description_of_the_api(page, site):
    page.goto(f"{site.url}/docs")
    page.wait_for_selector("h2:has-text('/question-answering')")
    assert page.locator("td:has-text('top_k')").count() >= 1
    assert "application/pdf" in page.inner_text("section:has(h2:has-text('/text'))")
