"""The pages read as a reader reads them: the files that they show are written, their commands typed, in the order of the page.

A block whose first line is a comment with a file's name is that file. A command that only an account or Docker can show stands under
`# on an account`, `# with Docker` or the like, until an empty line.
"""

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w./-]+\.(?:tf|toml))\n")
MARKED = re.compile(r"^# (?:on an account|with (?:Docker|a release))\b.*\n(?:.+\n)*", re.MULTILINE)
# What does not end by itself. Each story starts a daemon; the demo and the world have tests of their own.
ENDLESS = re.compile(r"^.*\b(?:lockkeeper (?:run|demo)|cargo run)\b.*\n", re.MULTILINE)
# Of version 1 of the CLI, which is the one that PyPI has: it knows one of the names of the Region, and SQS by another address.
AWS = """#!/bin/sh
export AWS_DEFAULT_REGION="$AWS_REGION"
if [ "$1" = sqs ]; then set -- "$@" --endpoint-url "$AWS_ENDPOINT_URL"; fi
exec {aws} "$@"
"""


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    where: str
    language: str
    text: str

    def file(self) -> str | None:
        """The file that it shows."""
        named = FILE.match(self.text)
        return named[1] if named else None

    def commands(self) -> str:
        """What is typed of it here."""
        if self.language == "console":
            return "".join(it.removeprefix("$ ") for it in self.text.splitlines(keepends=True) if it.startswith("$ "))
        return ENDLESS.sub("", MARKED.sub("", self.text)) if self.language == "sh" else ""


def blocks(name: str) -> Iterator[Block]:
    """Those of a page, in its order."""
    page = (DOCS / name).read_text()
    for found in FENCE.finditer(page):
        line = page[: found.start()].count("\n") + 1
        yield Block(f"docs/{name}:{line}", found[2], textwrap.dedent(found[3]))


class Reader:
    """Somebody with a shell and a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder, self._environment = folder, environment
        self._state = folder / ".state"
        # What is the reader's own, in place of what the pages have.
        self.own: dict[str, str] = {}
        tools = folder / "bin"
        tools.mkdir(parents=True)
        (tools / "lockkeeper").symlink_to(os.environ["LOCKKEEPER_BIN"])
        (tools / "aws").write_text(AWS.format(aws=Path(sys.executable).with_name("aws")))
        (tools / "aws").chmod(0o755)
        self._environment["PATH"] = f"{tools}:{os.environ['PATH']}"

    def read(self, page: str, before: Callable[[Block], None] = lambda _: None) -> list[str]:
        """Reads a page in a shell of its own, and gives what each block of commands wrote."""
        wrote, state = [], self._state.read_text() if self._state.exists() else ""
        for block in blocks(page):
            if name := block.file():
                (self.folder / name).write_text(self._as_own(block.text))
            elif (commands := block.commands()).strip():
                before(block)
                wrote.append(self.type(commands, block.where))
        self._state.write_text(state)
        return wrote

    def type(self, commands: str, where: str = "the story") -> str:
        """Types commands into the shell, which keeps its variables, and gives what they wrote. Each has to succeed."""
        # `set -a` has the next shell know every variable of this one.
        head = f"set -euo pipefail\nif [ -e {self._state} ]; then . {self._state}; fi\nset -a\n"
        script = f"{head}{self._as_own(commands)}\nset +a\nexport -p > {self._state}\n"
        began = time.monotonic()
        done = subprocess.run(
            # It ends what the shell has started, too.
            ["timeout", "240", "bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        with (self.folder / "typed.log").open("a") as log:
            log.write(f"--- {where}, {time.monotonic() - began:.1f} s\n{commands}\n{done.stdout}{done.stderr}\n")
        told = f"{where} ended with {done.returncode}:\n{self._as_own(commands)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, told
        return done.stdout

    def _as_own(self, text: str) -> str:
        """The longest words first: within them, others may stand as they are."""
        words = sorted(self.own, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, words)), lambda it: self.own[it[0]], text) if words else text
