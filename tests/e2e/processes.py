"""Child processes: each is known, none outlives the run."""

import atexit
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_children: list[subprocess.Popen] = []
_ports_given: set[int] = set()
_lock = threading.Lock()


class Late(AssertionError):
    """Something did not become true in time."""


def until(what: str, probe: Callable[[], T], seconds: float = 40.0) -> T:
    """Asks again and again until the answer is true, and gives it back."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Late(f"not within {seconds:g} s: {what}; last seen: {answer!r}")
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on, and that this run gives out once."""
    with _lock:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port not in _ports_given:
                _ports_given.add(port)
                return port


def start(command: list[str], output: Path, **options) -> subprocess.Popen:
    """Starts a child whose output goes to a file."""
    with output.open("ab") as sink:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, **options)
    with _lock:
        _children.append(child)
    return child


def kill(child: subprocess.Popen) -> None:
    """Ends a child now."""
    if child.poll() is None:
        child.kill()
        child.wait()


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET is answered with this status."""
    return fetch(url)[0] == status


def fetch(url: str) -> tuple[int, str]:
    """Status and body of a GET; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@atexit.register
def _kill_all() -> None:
    for child in _children:
        kill(child)


def die_with_the_terminal() -> None:
    """Lets a signal end the run in the way that also ends its children."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(_kill_all() or 1))
