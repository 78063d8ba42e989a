"""Plays every story: the built binary as a process, emulators around it, and real clients outside.

    run.py [WORD…]     only the stories whose names contain one of the words
    run.py --jobs N    that many at once (default 8: stories mostly wait)
    run.py --keep      keeps the folder with logs and settings of each story
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

import emulators
import permitted
import processes
import terraform
from stage import REGION, Stage

# The lane of each module of stories. Those with the longest waits come first.
MODULES = {
    "applied": "terraform",
    "pages": "pages",
    "endings": "ministack",
    "shown": "ministack",
    "standby": "ministack",
    "failures": "ministack",
    "health": "ministack",
    "traced": "ministack",
    "watching": "ministack",
    "scraped": "prometheus",
    "waited": "ministack",
    "created": "ministack",
    "recipes": "ministack",
    "rollbacks": "ministack",
    "decisions": "ministack",
    "own": "ministack",
    "replay": "ministack",
    "api": "ministack",
    "commands": "ministack",
    "pushes": "ministack",
    "announcements": "ministack",
    "pressed": "ministack",
    "messages": "ministack",
    "switches": "ministack",
    "permissions": "ministack",
    "patterns": "patterns",
    "notifications": "moto",
    "second_opinion": "moto",
    "discovery": "moto",
    "reconcile": "moto",
    "checks": "moto",
    "granted": "rendered",
    "named": "moto",
}


@dataclass
class Story:
    """A claim and the function that proves it."""

    lane: str
    name: str
    play: FunctionType


@dataclass
class Told:
    """How a story ended."""

    story: Story
    seconds: float
    failure: str | None
    actions: set[str]


def stories(words: list[str]) -> list[Story]:
    """The stories whose names contain one of the words, or all."""
    found = []
    for module, lane in MODULES.items():
        for name, value in vars(importlib.import_module(f"stories.{module}")).items():
            if isinstance(value, FunctionType) and value.__module__ == f"stories.{module}" and not name.startswith("_"):
                found.append(Story(lane, name, value))
    return [it for it in found if not words or any(word in it.name or word == it.lane for word in words)]


def tell(story: Story, emulator: object, folder: Path) -> Told:
    """Plays one story on a stage of its own."""
    began = time.monotonic()
    folder.mkdir()
    stage, failure, actions = None, None, set()
    try:
        stage = Stage(emulator, folder)
        story.play(stage)
        stage.check_promises()
        refused = stage.refused() if terraform.has_terraform() else []
        assert not refused, f"IAM would refuse {refused}"
    except Exception as error:  # Whatever goes wrong is a failure of this story, and of no other.
        where = traceback.extract_tb(error.__traceback__)
        line = next((it for it in reversed(where) if "/stories/" in it.filename), where[-1])
        told = f"{line.filename}:{line.lineno}: {line.line}\n{type(error).__name__}: {error}"
        failure = f"{told}\n{stage.traces() if stage else ''}"
    finally:
        if stage:
            stage.close()
            actions = permitted.called([line for daemon in stage.daemons for line in daemon.logs()])
    return Told(story, time.monotonic() - began, failure, actions)


def start_emulators(lanes: set[str], folder: Path) -> dict[str, object]:
    """The emulators that can be had."""
    running = {}
    if lanes & {"ministack", "prometheus", "patterns"} and emulators.has_ministack():
        running["ministack"] = emulators.Ministack(folder)
        if terraform.has_terraform():
            running["patterns"] = running["ministack"]
        if shutil.which("prometheus"):
            running["prometheus"] = running["ministack"]
    if lanes & {"moto", "rendered"}:
        running["moto"] = emulators.Moto(folder)
        if terraform.has_terraform():
            running["rendered"] = running["moto"]
    if "terraform" in lanes and not terraform.missing():
        running["terraform"] = emulators.WholeMoto(folder)
    if "pages" in lanes and not terraform.missing():
        # Of its own: both call what they make by the same names.
        (folder / "pages").mkdir()
        running["pages"] = emulators.WholeMoto(folder / "pages")
    return running


def why_not(lane: str) -> str:
    """Why a lane's stories are not played."""
    if lane == "prometheus" and not shutil.which("prometheus"):
        return "there is no prometheus on this machine"
    if lane in ("rendered", "patterns") and not terraform.has_terraform():
        return "there is no terraform on this machine"
    missing = terraform.missing() if lane in ("terraform", "pages") else None
    return missing or f"{'ministack' if lane == 'patterns' else lane} cannot be installed on this machine"


def on_moto(running: dict[str, object], actions: set[str]) -> list[str]:
    """What IAM would refuse of the calls on moto. One account and one record for all stories: of ECS it is held for the clusters
    of all, which each story's own world does for its own."""
    if "moto" not in running or not terraform.has_terraform():
        return []
    asked = [it for it in running["moto"].requests() if it.action in actions and it.service not in permitted.OWN]
    granted = permitted.statements(running["moto"].account, [REGION], ["shop-*"])
    return [f"{it} would be refused" for it in permitted.refused(asked, granted)]


def play_all(wanted: list[Story], jobs: int, folder: Path, *, whole: bool) -> bool:
    """Plays the stories, tells how each ended, and says whether all is well."""
    running = start_emulators({story.lane for story in wanted}, folder)
    skipped = [story for story in wanted if story.lane not in running]
    for story in skipped:
        print(f"SKIPPED  {story.lane}: {story.name}: {why_not(story.lane)}", flush=True)
    failures, actions = [], set()
    with ThreadPoolExecutor(jobs) as pool:
        played = [
            pool.submit(tell, story, running[story.lane], folder / f"{number:02}-{story.name}")
            for number, story in enumerate(wanted)
            if story.lane in running
        ]
        for future in as_completed(played):
            told = future.result()
            verdict = "FAILED" if told.failure else "ok"
            print(f"{verdict:8} {told.story.lane}: {told.story.name} ({told.seconds:.1f} s)", flush=True)
            actions |= told.actions
            if told.failure:
                failures.append(told)
    for told in failures:
        print(f"\n=== {told.story.name}\n{told.failure}", flush=True)
    found = on_moto(running, actions) + permitted.findings(actions, whole=whole and not skipped)
    print(f"calls of {len(permitted.held)} actions were held against resources and conditions of the policy", flush=True)
    for line in found:
        print(f"PERMISSIONS  {line}", flush=True)
    print(f"{len(played) - len(failures)} passed, {len(failures)} failed, {len(skipped)} skipped", flush=True)
    return not failures and not found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    binary = Path(os.environ.get("LOCKKEEPER_BIN", "target/debug/lockkeeper")).resolve()
    os.environ["LOCKKEEPER_BIN"] = str(binary)
    assert binary.exists(), f"there is no {binary}: build it, or set LOCKKEEPER_BIN"
    processes.die_with_the_terminal()
    folder = Path(tempfile.mkdtemp(prefix="lockkeeper-e2e-"))
    try:
        return 0 if play_all(stories(arguments.words), arguments.jobs, folder, whole=not arguments.words) else 1
    finally:
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
