"""Runs → one page: what it says, what it says it lacks, and that it runs nothing of theirs."""

import html
import json
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

import reported
import tiny
from potstill.errors import InputError, MissingExtraError
from potstill.evaluation.kept import KeptQuestion, write_kept
from potstill.reports import report as module
from potstill.reports.report import ReportOptions, report
from potstill.reports.runs import read_run

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'potstill[report]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "<script>alert(1)</script>\"'&--><img src=x onerror=alert(2)>\x00‮"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A teacher and two seeds of a student."""
    root = tmp_path_factory.mktemp("runs")
    folders = [reported.evaluated(root / "teacher", f1=80, ms=20, n_layers=3, recipe={"epochs": 2})]
    folders += [
        reported.evaluated(root / f"small-{n}", f1=70 + n, seed=n, n_layers=1) for n in (1, 3)
    ]
    return [read_run(folder) for folder in folders]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return reported.examples(tmp_path_factory.mktemp("data") / "dev.json")


@pytest.fixture(scope="module")
def page(runs, examples):
    return report(runs, ReportOptions(examples=examples, data="dev.json", version="1"))


def words(page):
    told = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.S)
    return html.unescape(re.sub(r"\s+", " ", told))


def test_it_says_which_to_ship(page):
    text = words(page)
    assert "question-answering on dev.json (abababab)" in text
    assert "small 2 fp32" in text
    assert "72.00 ± 1.41" in text
    assert "10.0 (9.0 to 11.0)" in text
    assert "by milliseconds an example than: small, fp32, teacher, fp32 ." in text
    assert "small, fp32 72.00 8.00 90.0%" in text
    assert "teacher, fp32 (teacher) 80.00 – 100.0% 1.00 1.00" in text
    assert "potstill distil r.toml seed=3" in text
    assert "training_seconds 7,200" in text
    assert "Not known" not in text


def test_pictures_are_whole_and_do_not_meet(page):
    pictures = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(pictures) == 6
    ids = []
    for picture in pictures:
        root = ET.fromstring(picture)
        own = [one.get("id") for one in root.iter() if one.get("id")]
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', picture)) <= set(own)
        ids += own
    assert len(ids) == len(set(ids))
    assert {"small (2 runs)", "teacher, fp32 (teacher)"} <= set(
        text for one in pictures for text in ET.fromstring(one).itertext()
    )


def test_when_to_say_there_is_no_answer(tmp_path, page):
    assert "When to say" not in words(page)
    kept = reported.evaluation()
    columns = {"threshold": [-1.0, 2.0], "f1": [50, 60], "HasAns_f1": [20, 80],
               "NoAns_f1": [80, 40]}  # fmt: skip
    folder = reported.run(tmp_path / "run")
    write_kept(folder / "evaluations", replace(kept, curve={**kept.curve, "no_answer": columns}))
    found = report([read_run(folder)], ReportOptions())
    assert "When to say there is no answer" in words(found)
    assert "F1 by null threshold" in found
    assert "With an answer against without" in found


def test_nothing_is_fetched(page):
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert "@import" not in page
    assert len(page.encode()) < module.MOST_BYTES


def test_what_is_lacking_is_said(tmp_path, runs):
    bare = read_run(tiny.write_model(tmp_path / "bare"))
    text = words(report([bare], ReportOptions()))
    assert "how good bare may be: `potstill eval RUN DATA --keep`" in text
    assert "how bare learned: there is no metrics.jsonl" in text
    assert "data and trained on: the folder's manifest has none" in text
    assert "the commands" in text
    unasked = read_run(reported.run(tmp_path / "unasked"))
    text = words(report([unasked], ReportOptions()))
    for lacking in ("milliseconds an example", "calibration", "risk against coverage", "single"):
        assert lacking in text
    assert "their texts: give the file" in words(report(runs, ReportOptions()))
    other = {"else": next(iter(reported.examples(tmp_path / "d.json").values()))}
    text = words(report(runs, ReportOptions(examples=other, data="other.json")))
    assert "other.json holds none of them" in text


def test_scores_of_other_numbers_of_questions_are_not_compared_in_silence(tmp_path):
    folders = [reported.run(tmp_path / name, recipe={"epochs": n}) for n, name in enumerate("ab")]
    for folder, total in zip(folders, (4, 5), strict=True):
        kept = reported.evaluation()
        write_kept(folder / "evaluations", replace(kept, scores={**kept.scores, "total": total}))
    text = words(report([read_run(one) for one in folders], ReportOptions()))
    assert "Do not compare: these were scored on 4, 5 examples." in text


def test_a_page_that_grows_too_large_shows_fewer_mistakes(runs, examples, monkeypatch):
    whole = report(runs, ReportOptions(examples=examples))
    assert whole.count('class="mistake"') == 4
    monkeypatch.setattr(module, "MOST_BYTES", len(whole.encode()) - 1)
    assert report(runs, ReportOptions(examples=examples)).count('class="mistake"') == 2


def test_wrong_use(runs, monkeypatch):
    with pytest.raises(InputError, match="no run to report on"):
        report([], ReportOptions())
    with pytest.raises(InputError, match="no run 'nobody' .* teacher, small"):
        report(runs, ReportOptions(teacher="nobody"))
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"potstill\[report\]"):
        report(runs, ReportOptions())


@pytest.fixture
def hostile(tmp_path, examples):
    """A run in which every text that comes from a file tries to be more than text."""
    folder = tmp_path / "<img src=x onerror=alert(3)>"
    reported.run(folder, recipe={HOSTILE: HOSTILE, "teacher": HOSTILE})
    one = next(iter(examples.values()))
    nasty = replace(one, question=HOSTILE, context=f"{HOSTILE} {HOSTILE}", answers=(HOSTILE,),
                    starts=(0,))  # fmt: skip
    said = KeptQuestion(one.id, HOSTILE, len(HOSTILE) + 1, 0.9, 0.0, 0.5)
    write_kept(
        folder / "evaluations",
        reported.evaluation(data=HOSTILE, command=HOSTILE, hardware={HOSTILE: HOSTILE},
                            questions=[said]),
    )  # fmt: skip
    (folder / "commands.jsonl").write_text(json.dumps({"command": HOSTILE}) + "\n")
    options = ReportOptions(title=HOSTILE, examples={one.id: nasty}, data=HOSTILE, version=HOSTILE)
    return report([read_run(folder)], options)


def test_hostile_text_stays_text(hostile):
    assert "<img" not in hostile
    assert hostile.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in hostile


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    play = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with play.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page from disk; whatever it says, fetches or fails at is a fault."""
    faults, contexts = [], []

    def open_(text, **settings):
        (tmp_path / "report.html").write_text(text, encoding="utf-8")
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        made = context.new_page()
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda message: faults.append(message.text))
        made.on("dialog", lambda dialog: faults.append(dialog.message))
        made.on("request", lambda r: r.url.startswith("file:") or faults.append(r.url))
        made.goto((tmp_path / "report.html").as_uri())
        return made

    yield open_
    for context in contexts:
        context.close()
    assert not faults, faults


@pytest.mark.parametrize("width", [360, 1200])
def test_it_opens_offline_in_light_and_dark(opened, page, width):
    made = opened(page, viewport={"width": width, "height": 800})
    for scheme, dark in (("light", False), ("dark", True)):
        made.emulate_media(color_scheme=scheme)
        assert made.evaluate("document.documentElement.scrollWidth") == width
        ground, ink = (
            made.evaluate(f"getComputedStyle(document.querySelector('{what}')).{name}")
            for what, name in (("body", "backgroundColor"), ("figure svg text", "fill"))
        )
        light = [int(re.findall(r"\d+", colour)[0]) for colour in (ground, ink)]
        assert (light[0] < 128) == dark
        assert abs(light[0] - light[1]) > 128


def test_mistakes_can_be_filtered(opened, page):
    made = opened(page)
    shown = ".mistake:not([hidden])"
    assert made.locator(shown).count() == 4
    made.select_option("[name=kind]", "missed")
    assert made.locator(shown).count() == 2
    assert made.inner_text("output") == "2 shown"
    made.select_option("[name=run]", "teacher, fp32")
    assert made.locator(shown).count() == 1
    made.select_option("[name=kind]", "")
    made.fill("[name=words]", "TOWER built")
    made.click(f"{shown} summary")
    assert made.inner_text(f"{shown} mark.gold") == "a tower"


def test_hostile_text_does_nothing_in_a_browser(opened, hostile):
    made = opened(hostile)
    assert "<script>alert(1)" in made.inner_text("h1")
    made.click(".mistake summary")
    assert made.locator(".mistake mark").count() >= 2
