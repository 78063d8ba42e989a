"""What a release says that it is made of is so, and its archive is the same bytes wherever and whenever it is packed."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "deploy/release"
TARGET = "x86_64-unknown-linux-gnu"
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


def said(*command: object) -> bytes:
    """What a command writes."""
    return subprocess.run([str(it) for it in command], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True).stdout


def check_materials(folder: Path) -> None:
    """Valid, the same each time, and exactly what cargo would link."""
    said(RELEASE / "materials.sh", folder, TARGET)
    text = said(sys.executable, RELEASE / "sbom.py", folder)
    assert text == said(sys.executable, RELEASE / "sbom.py", folder), "it differs from itself"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode())
    assert wrong is None, wrong
    document = json.loads(text)
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z", document["metadata"]
    scopes = {it["name"]: it["scope"] for it in document["components"]}
    wanted = {"tokio": "required", "rustls": "required", "serde": "required", "serde_derive": "excluded", "cc": "excluded"}
    assert wanted.items() <= scopes.items() and len(scopes) > 150, scopes
    known = json.loads((folder / "metadata.json").read_text())["packages"]
    tests = {it["name"] for crate in known if crate["name"] == "lockkeeper" for it in crate["dependencies"] if it["kind"] == "dev"}
    assert {"criterion", "proptest", "insta"} <= tests - set(scopes), "what only tests need is no part of it"
    (direct,) = (it["dependsOn"] for it in document["dependencies"] if it["ref"] == f"pkg:cargo/lockkeeper@{version()}")
    direct = {re.sub("@.*|pkg:cargo/", "", it) for it in direct}
    asked = {it["name"]: it["optional"] for crate in known if crate["name"] == "lockkeeper" for it in crate["dependencies"] if it["kind"] is None}
    assert {name for name, optional in asked.items() if not optional} <= direct <= set(asked), direct ^ set(asked)
    bare = [it["name"] for it in document["components"] if not it["hashes"] or "licenses" not in it]
    assert not bare, bare


def version() -> str:
    """The package's version."""
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def check_archive(folder: Path) -> None:
    """Neither the order, nor the age, nor the mode of whoever wrote the files stands in it."""
    archives = []
    for age, mask, names in ((0, 0o022, "ab"), (1_600_000_000, 0o077, "ba")):
        where = folder / str(age) / "release"
        where.mkdir(parents=True)
        os.umask(mask)
        for name in names:
            (where / name).write_text(f"this is {name}")
            os.utime(where / name, (age, age))
        archives.append(said(RELEASE / "pack.sh", where.parent, "release"))
    assert archives[0] == archives[1], "the archives differ"
    (folder / "0/release/a").write_text("another")
    assert said(RELEASE / "pack.sh", folder / "0", "release") != archives[0], "what is in it does not count"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        check_materials(Path(made))
        check_archive(Path(made))
    print("a release says what it is made of, and is packed the same each time")
