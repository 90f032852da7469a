"""A Hub on this machine that answers huggingface_hub as huggingface.co does, its faults included."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, unquote

ADDRESS = re.compile(r"/(?:(api/models|cdn)/)?([^/]+(?:/[^/]+)?)(?:/(resolve|revision|tree)/(.+))?")


class FakeHub(ThreadingHTTPServer):
    """Serves folders as repositories. Safetensors come from a second address, as from the CDN."""

    daemon_threads = True
    piece, pause = 16_384, 0.01  # bytes and seconds of a "slow" file

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        # Of another origin: HEAD would follow a redirect within one, and miss X-Repo-Commit.
        self.cdn = f"http://localhost:{self.server_port}/cdn"
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.repositories, self.renamed, self.token, self._faults = {}, {}, None, []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def add(self, repository: str, folder: Path, *, branch: str = "main") -> str:
        """The new commit of all files of a folder, to which the branch moves."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        commit = hashlib.sha1(repr([repository, files]).encode()).hexdigest()
        new = SimpleNamespace(branches={}, commits={}, gated=False, private=False)
        entry = self.repositories.setdefault(repository, new)
        entry.commits[commit], entry.branches[branch] = files, commit
        return commit

    def gate(self, repository: str) -> None:
        self.repositories[repository].gated = True

    def make_private(self, repository: str) -> None:
        self.repositories[repository].private = True

    def rename(self, old: str, new: str) -> None:
        self.repositories[new] = self.repositories.pop(old)
        self.renamed[old] = new

    def require_token(self, token: str) -> None:
        """The one valid token from now on. Until then each is valid, but none opens anything."""
        self.token = token

    def spoil(self, path: str, how: str, times: int = 1_000_000, *, method: str = "GET") -> None:
        """Spoils the next answers to addresses that end with `path`, of the API as well.

        "html", "429", "500": answered in the file's place. "truncated": closed after half of what
        was asked for; "dropped": only if no range was; "reset": with a reset. "slow": see `pause`.
        """
        self._faults.append((method, path, how, repeat(how, times)))

    def take_fault(self, method: str, path: str, ranged: bool) -> str | None:
        for spoiled, end, how, left in self._faults:
            fits = spoiled == method and path.endswith(end) and not (ranged and how == "dropped")
            if fits and next(left, None):  # atomic: files are asked for by several threads
                return how
        return None


def let_connections_end():
    """Waits for what a download that failed or was left has still under way."""
    for thread in threading.enumerate():
        if thread.name == "nbtool download":
            thread.join()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.requests.append(f"{self.command} {path}")
        self.server.ranges += self.headers.get_all("Range", [])
        self.fault = self.server.take_fault(self.command, unquote(path), "Range" in self.headers)
        with suppress(ConnectionError):  # the client went away
            self._send(*self._answer(*ADDRESS.fullmatch(path).groups()))

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass

    def _answer(self, place, name, what, address):
        """Status, body and headers."""
        revision, _, file = (unquote(part) for part in (address or "main").partition("/"))
        if new := self.server.renamed.get(name):
            return 307, b"", {"Location": self.path.replace(f"/{name}", f"/{new}", 1)}
        if self.fault in ("html", "429", "500"):
            headers = {"Retry-After": "0"} if self.fault == "429" else {"Content-Type": "text/html"}
            return 200 if self.fault == "html" else int(self.fault), b"<html></html>", headers
        if place == "cdn" and "Authorization" in self.headers:  # as S3 says
            return _refusal(400, "", "Only one auth mechanism allowed")
        if place == "cdn":
            return self._part(self.server.repositories[name].commits[revision][file])
        return self._refused(name, what) or self._found(name, what, revision, file)

    def _found(self, name, what, revision, file):
        repository = self.server.repositories[name]
        short = (commit for commit in repository.commits if commit.startswith(revision))
        commit = repository.branches.get(revision) or next(short, None)
        if commit is None:
            return _refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repository.commits[commit]
        described = {path: _description(path, content) for path, content in files.items()}
        headers = {"X-Repo-Commit": commit}
        if what == "tree":
            return 200, [*described.values()], {}
        if what != "resolve":
            bare = [{"rfilename": path} for path in files]
            siblings = [*described.values()] if "blobs=" in self.path else bare
            access = {"private": repository.private, "gated": repository.gated and "manual"}
            info = {"id": name, "sha": commit, "disabled": False, "tags": [], "siblings": siblings}
            return 200, info | access, {}
        if file not in files:
            return _refusal(404, "EntryNotFound", "Entry not found", headers)
        if "lfs" not in described[file]:
            return self._part(files[file], headers | {"ETag": f'"{described[file]["oid"]}"'})
        headers["Location"] = f"{self.server.cdn}/{name}/resolve/{commit}/{quote(file)}"
        headers["X-Linked-Etag"] = f'"{described[file]["lfs"]["sha256"]}"'
        return 302, b"", headers | {"X-Linked-Size": str(described[file]["size"])}

    def _refused(self, name, what):
        valid, repository = self.server.token, self.server.repositories.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and valid not in (None, token):  # refused for public repositories, too
            return _refusal(401, "", "Invalid credentials in Authorization header")
        opened = token and valid
        if repository is None or (repository.private and not opened):
            said = "Repository not found" if token else "Invalid username or password."
            return _refusal(404 if token else 401, "RepoNotFound", said)
        if opened or not repository.gated or what != "resolve":  # a listing is public
            return None
        told = " and you are not in the authorized list" if token else ". You must be authenticated"
        said = f"Access to model {name} is restricted{told}."
        return _refusal(403 if token else 401, "GatedRepo", said)

    def _part(self, content, headers=()):
        headers, size = {"Accept-Ranges": "bytes", **dict(headers)}, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return 200, content, headers
        start, end = int(asked[1]), min(int(asked[2] or size), size - 1)
        span = f"bytes {start}-{end}/{size}"
        return 206, content[start : end + 1], headers | {"Content-Range": span}

    def _send(self, status, body, headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault in ("truncated", "dropped", "reset"):
            body, self.close_connection = body[: len(body) // 2], True
        pause = self.server.pause if self.fault == "slow" else 0
        for start in range(0, len(body), self.server.piece):
            self.wfile.write(body[start : start + self.server.piece])
            time.sleep(pause)
        if self.fault == "reset":
            linger = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.connection.detach())


def _refusal(status, code, message, headers=()):
    errors = {"X-Error-Code": code, "X-Error-Message": message, **dict(headers)}
    return status, {"error": message}, {name: value for name, value in errors.items() if value}


def _description(path, content):
    """What the Hub says of a file, under the names of its model info and of its tree."""
    digest, size, more = hashlib.sha256(content).hexdigest(), len(content), {}
    if path.endswith(".safetensors"):
        version = "version https://git-lfs.github.com/spec/v1"
        content = f"{version}\noid sha256:{digest}\nsize {size}\n".encode()
        more["lfs"] = {"oid": digest, "sha256": digest, "size": size, "pointerSize": len(content)}
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    names = {"type": "file", "path": path, "rfilename": path, "oid": oid, "blobId": oid}
    return {**names, "size": size, **more}
