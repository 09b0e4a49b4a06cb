"""A stand-in for the Hugging Face hub on 127.0.0.1: the few endpoints a download asks for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_letmein"


class Hub(ThreadingHTTPServer):
    """Serves folders as models: ``models`` maps an id to its folder."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, Path] = {}
        self.private: set[str] = set()
        self.broken = False
        """Answer 500 to everything."""
        self.cut: int | None = None
        """Break the next file off after this many bytes."""
        self.downloads: list[tuple[str, str]] = []
        """(file, Range header) of every body that was sent."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """A hub that listens until the block ends."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        hub = self.server
        path = urlsplit(self.path).path.strip("/")
        if hub.broken:
            return self._send(500, b"", body)
        name, what = self._split(path)
        if name in hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, b"", body, {"X-Error-Code": "RepoNotFound"})
        if name not in hub.models:
            return self._send(404, b"", body, {"X-Error-Code": "RepoNotFound"})
        folder, (kind, revision, rest) = hub.models[name], what
        if revision not in ("main", COMMIT):
            return self._send(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
        files = sorted(f for f in folder.rglob("*") if f.is_file())
        if kind == "revision":
            siblings = [{"rfilename": f.relative_to(folder).as_posix()} for f in files]
            return self._json({"id": name, "sha": COMMIT, "siblings": siblings}, body)
        if kind == "tree":
            return self._json([_entry(f, folder) for f in files], body)
        file = folder / rest
        if not file.is_file():
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        return self._file(file, rest, body)

    def _split(self, path: str) -> tuple[str, tuple[str, str, str]]:
        """A request's model id, and (kind, revision, rest)."""
        parts = path.removeprefix("api/models/").split("/")
        for i, kind in enumerate(parts):
            if kind in ("revision", "tree", "resolve"):
                return "/".join(parts[:i]), (kind, parts[i + 1], "/".join(parts[i + 2 :]))
        return "/".join(parts), ("revision", "main", "")

    def _file(self, file: Path, name: str, body: bool) -> None:
        hub, data = self.server, file.read_bytes()
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        status, start = 200, 0
        if wanted:
            status, start = 206, int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if body:
            hub.downloads.append((name, wanted or ""))
        if body and hub.cut is not None and len(data) > hub.cut:
            cut, hub.cut = hub.cut, None
            self._send(status, data[start:], False, headers)
            self.wfile.write(data[start : start + cut])
            self.wfile.flush()
            self.close_connection = True
            return
        self._send(status, data[start:], body, headers)

    def _json(self, value: object, body: bool) -> None:
        self._send(200, json.dumps(value).encode(), body, {"Content-Type": "application/json"})

    def _send(
        self, status: int, data: bytes, body: bool, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _entry(file: Path, folder: Path) -> dict[str, object]:
    name = file.relative_to(folder).as_posix()
    return {"type": "file", "path": name, "size": file.stat().st_size, "oid": _etag(file)}
