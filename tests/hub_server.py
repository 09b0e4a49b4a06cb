"""A stand-in for the Hugging Face hub on 127.0.0.1: what downloads and commits ask for, no more."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_letmein"


class Hub(ThreadingHTTPServer):
    """Serves folders as models: ``models`` maps an id, or ``id@branch``, to its folder."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, Path] = {}
        self.private: set[str] = set()
        self.broken = False
        """Answer 500 to everything."""
        self.cut: int | None = None
        """Break the next file off after this many bytes."""
        self.breaks = False
        """Be `broken` as soon as a file was cut."""
        self.downloads: list[tuple[str, str]] = []
        """(file, Range header) of every body that was sent."""
        self.sent = 0
        """Bytes of all those bodies."""
        self.store: Path | None = None
        """Where repositories that are made new lie."""
        self.created: list[dict[str, Any]] = []
        """What was asked for, of every repository that was made new."""
        self.blobs: dict[str, bytes] = {}
        """Large files that were uploaded, by their SHA-256."""
        self.uploads_left: int | None = None
        """Refuse large files after so many."""
        self.commits: list[dict[str, Any]] = []
        """``model``, ``revision``, ``summary``, ``files`` and ``deleted`` of every commit."""

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

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _Uploads(self).post(unquote(urlsplit(self.path).path).strip("/"), data)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _Uploads(self).put(self.path.rsplit("/", 1)[-1], data)

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
        kind, revision, rest = what
        on = name if revision in ("main", COMMIT) else f"{name}@{revision}"
        if on not in hub.models:
            return self._send(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
        folder = hub.models[on]
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
            hub.broken = hub.breaks
            self._send(status, data[start:], False, headers)
            self.wfile.write(data[start : start + cut])
            hub.sent += cut
            self.wfile.flush()
            self.close_connection = True
            return
        hub.sent += len(data) - start if body else 0
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


class _Uploads:
    """What a commit asks for: a repository, a branch, large files, and then the commit itself."""

    def __init__(self, handler: _Handler) -> None:
        self.handler, self.hub = handler, handler.server

    def post(self, path: str, data: bytes) -> None:
        answer = self.handler._json
        if self.hub.broken:
            return self.handler._send(500, b"", True)
        if path == "api/validate-yaml":
            return answer({"errors": [], "warnings": []}, True)
        if self.handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.handler._send(401, b"", True)
        if path == "api/repos/create":
            return self._create(json.loads(data))
        if path.endswith("/info/lfs/objects/batch"):
            return answer({"objects": [self._object(o) for o in json.loads(data)["objects"]]}, True)
        name, _, rest = path.removeprefix("api/models/").partition("/")
        owner, (model, _, rest) = name, rest.partition("/")
        kind, _, revision = rest.partition("/")
        name = f"{owner}/{model}"
        if kind == "branch":
            self._new(f"{name}@{revision}")
            return answer({}, True)
        folder = self.hub.models[name if revision == "main" else f"{name}@{revision}"]
        if kind == "preupload":
            files = [_mode(folder, f["path"]) for f in json.loads(data)["files"]]
            return answer({"files": files}, True)
        return self._commit(name, revision, folder, data)

    def put(self, oid: str, data: bytes) -> None:
        if self.hub.uploads_left == 0:
            return self.handler._send(403, b"", True)
        if self.hub.uploads_left is not None:
            self.hub.uploads_left -= 1
        assert hashlib.sha256(data).hexdigest() == oid
        self.hub.blobs[oid] = data
        self.handler._send(200, b"", True)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        url = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.models:
            return self.handler._send(409, json.dumps(url).encode(), True)
        self.hub.created.append(wanted)
        self._new(name)
        return self.handler._json(url, True)

    def _new(self, name: str) -> None:
        assert self.hub.store is not None
        if name not in self.hub.models:
            self.hub.models[name] = self.hub.store / name
            self.hub.models[name].mkdir(parents=True)

    def _object(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["oid"] in self.hub.blobs:
            return wanted
        return {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}}

    def _commit(self, name: str, revision: str, folder: Path, data: bytes) -> None:
        lines = [json.loads(line) for line in data.splitlines()]
        commit: dict[str, Any] = {"model": name, "revision": revision, "files": [], "deleted": []}
        for line in lines:
            kind, value = line["key"], line["value"]
            if kind == "header":
                commit["summary"] = value["summary"]
            elif kind == "deletedFile":
                (folder / value["path"]).unlink()
                commit["deleted"].append(value["path"])
            else:
                content = (
                    self.hub.blobs[value["oid"]]
                    if kind == "lfsFile"
                    else base64.b64decode(value["content"])
                )
                file = folder / value["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                commit["files"].append(value["path"])
        self.hub.commits.append(commit)
        url = f"{self.hub.url}/{name}/commit/{COMMIT}"
        self.handler._json({"commitOid": COMMIT, "commitUrl": url, "success": True}, True)


def _mode(folder: Path, path: str) -> dict[str, Any]:
    large = path.endswith((".safetensors", ".onnx"))
    found: dict[str, Any] = {"path": path, "uploadMode": "lfs" if large else "regular"}
    if (folder / path).is_file():
        data = (folder / path).read_bytes()
        blob = b"blob %d\0" % len(data) + data
        found["oid"] = hashlib.sha256(data).hexdigest() if large else hashlib.sha1(blob).hexdigest()
    return {**found, "shouldIgnore": False}


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _entry(file: Path, folder: Path) -> dict[str, object]:
    name = file.relative_to(folder).as_posix()
    return {"type": "file", "path": name, "size": file.stat().st_size, "oid": _etag(file)}
