"""The npm package as npm has it, and pages in Chromium."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parents[2] / "clients" / "js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What npm gets, unpacked."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("needs Node 20 and npm")
    place = tmp_path_factory.mktemp("package")
    command = [npm, "pack", "--pack-destination", str(place)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True, timeout=600)
    (packed,) = place.glob("potstill-*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(place, filter="data")
    return place / "package"


@pytest.fixture
def browse() -> Iterator[Callable[[Path], tuple[Any, list[str]]]]:
    """Opens the page of a folder: the page, and what goes wrong there or elsewhere."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with ExitStack() as held:
        browser = held.enter_context(sync_playwright()).chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        held.callback(browser.close)

        def opened(folder: Path) -> tuple[Any, list[str]]:
            faults: list[str] = []
            base = held.enter_context(serving(folder))
            page = browser.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "request",
                lambda r: r.url.startswith((base, "data:", "blob:")) or faults.append(r.url),
            )
            page.goto(base)
            return page, faults

        yield opened


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of a folder; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
