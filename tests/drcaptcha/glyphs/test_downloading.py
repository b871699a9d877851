"""Downloads from a server that breaks off, stalls, forgets what it was asked, and lies."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.downloading import download

CONTENT = np.random.default_rng(5).bytes(600_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Answer:
    """How the server deals with one request."""

    status: int = 200
    content: bytes = CONTENT
    most: int | None = None
    """Bytes after which the connection is closed."""
    stalls: bool = False
    """Whether it is kept open and silent instead."""
    ranges: bool = True
    length: bool = True


@dataclass
class Scripted:
    """A server that follows a script, an answer a request, and writes down what it was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    script: Scripted

    def do_GET(self) -> None:
        self.script.asked.append(self.headers["Range"])
        answer = self.script.answers.pop(0)
        start = self._start(answer)
        if start is None or answer.status >= 400:
            self.send_error(416 if start is None else answer.status)
            return
        body = answer.content[start:]
        self.send_response(206 if start else answer.status)
        if answer.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.most])
        self.wfile.flush()
        if answer.stalls:
            self.script.done.wait(20)

    def _start(self, answer: Answer) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if not asked or not answer.ranges:
            return 0
        return int(asked[1]) if int(asked[1]) < len(answer.content) else None

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    handler = type("ScriptedHandler", (Handler,), {})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.script = script = Scripted(f"http://127.0.0.1:{listening.server_port}/gzip.zip")
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield script
    script.done.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@dataclass
class Log:
    slept: list[float] = field(default_factory=list)
    progress: list[tuple[int, int | None]] = field(default_factory=list)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "emnist.zip"


@pytest.fixture
def fetch(server: Scripted, target: Path, log: Log) -> Callable[..., Path]:
    def fetch(*answers: Answer, md5: str = MD5) -> Path:
        server.answers[:] = answers
        return download(
            server.url,
            target,
            md5,
            progress=lambda here, total: log.progress.append((here, total)),
            stall=0.3,
            pauses=(1, 2),
            sleep=log.slept.append,
        )

    return fetch


def left_over(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_it_brings_the_file_and_tells_how_far_it_is(fetch, target, log, server):
    assert fetch(Answer()) == target

    assert target.read_bytes() == CONTENT
    assert left_over(target) == ["emnist.zip"]
    assert server.asked == [None]
    assert log.progress[-1] == (600_000, 600_000)
    assert [here for here, _ in log.progress] == sorted(here for here, _ in log.progress)


def test_it_does_not_fetch_what_is_there(fetch, target, server):
    fetch(Answer())

    assert fetch() == target
    assert len(server.asked) == 1


def test_it_continues_where_the_line_broke(fetch, target, server, log):
    fetch(Answer(most=200_000), Answer(most=250_000), Answer())

    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=200000-", "bytes=450000-"]
    assert log.slept == [1, 1]
    assert log.progress[-1] == (600_000, 600_000)


def test_it_leaves_a_server_that_stalls_and_continues(fetch, target, server):
    fetch(Answer(most=100_000, stalls=True), Answer())

    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_it_starts_over_where_the_server_can_t_continue(fetch, target, server):
    fetch(Answer(most=200_000), Answer(ranges=False))

    assert target.read_bytes() == CONTENT


def test_it_gives_up_on_a_server_that_always_breaks_off_at_the_same_place(fetch, target, log):
    answers = [Answer(most=200_000, ranges=False) for _ in range(9)]

    with pytest.raises(NotPossible, match=r"broke off at 200,000 of 600,000 bytes\. What has come is kept"):
        fetch(*answers)
    assert log.slept == [1, 2]
    assert left_over(target) == ["emnist.zip.part"]


def test_it_gives_up_on_a_server_that_breaks_off_ever_earlier_and_later(fetch, log):
    answers = [Answer(most=300_000 - (n % 2) * 100_000, ranges=False) for n in range(9)]

    with pytest.raises(NotPossible, match="broke off"):
        fetch(*answers)
    assert log.slept == [1, 2]


def test_the_next_call_continues(fetch, target, server, log):
    with pytest.raises(NotPossible):
        fetch(Answer(most=200_000), *[Answer(most=0) for _ in range(3)])

    fetch(Answer())

    assert target.read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=200000-"


def test_it_tries_again_when_the_server_has_a_bad_moment(fetch, target, log):
    fetch(Answer(status=503), Answer(status=500), Answer())

    assert target.read_bytes() == CONTENT
    assert log.slept == [1, 2]


def test_it_gives_up_at_once_when_the_file_is_not_there(fetch, target, log):
    with pytest.raises(NotPossible, match="404"):
        fetch(Answer(status=404))
    assert log.slept == []


def test_it_gives_up_when_nobody_answers(target, log):
    with pytest.raises(NotPossible, match="refused"):
        download(
            "http://127.0.0.1:9/gzip.zip", target, MD5, progress=print, stall=0.3, pauses=(1, 2), sleep=log.slept.append
        )
    assert log.slept == [1, 2]


@pytest.mark.parametrize("length", [True, False])
def test_it_refuses_other_bytes_than_promised(length, fetch, target):
    with pytest.raises(NotPossible, match=f"MD5 .*, not {MD5}"):
        fetch(Answer(content=CONTENT[:-1] + b"!", length=length))
    assert left_over(target) == []


def test_it_refuses_a_file_cut_short_by_a_server_that_gives_no_length(fetch, target):
    with pytest.raises(NotPossible, match="MD5"):
        fetch(Answer(most=100_000, length=False))
    assert left_over(target) == []


def test_it_starts_over_when_what_an_earlier_call_left_was_of_another_file(fetch, target, server):
    target.parent.mkdir()
    target.with_name("emnist.zip.part").write_bytes(b"x" * 200_000)

    fetch(Answer(), Answer())

    assert target.read_bytes() == CONTENT
    assert server.asked == ["bytes=200000-", None]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_it_takes_up_a_part_that_is_as_long_as_the_whole(extra, fetch, target):
    target.parent.mkdir()
    target.with_name("emnist.zip.part").write_bytes(CONTENT + extra)

    fetch(Answer(), *([Answer()] if extra else []))

    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/gzip.zip", "gzip.zip"])
def test_it_refuses_other_kinds_of_address(url, target):
    with pytest.raises(NotPossible, match="only http"):
        download(url, target, MD5, progress=print)
