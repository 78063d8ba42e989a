#!/usr/bin/env python3
"""sbom.py FOLDER: what Lockkeeper is made of, as CycloneDX 1.6 in JSON, of what materials.sh wrote into FOLDER.

`required` is what is in the binary; `excluded` is what only took part in building it: procedural macros, and what build
scripts use. The same input gives the same bytes; `SOURCE_DATE_EPOCH` is the time that it bears.
"""

import datetime
import json
import os
import re
import sys
import tomllib
import uuid
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    packages = {(it["name"], it["version"]): it for it in json.loads((folder / "metadata.json").read_text())["packages"]}
    locked = tomllib.loads((folder / "Cargo.lock").read_text())["package"]
    checksums = {(it["name"], it["version"]): it.get("checksum") for it in locked}
    linked = {package(line) for line in (folder / "linked").read_text().splitlines()}
    root, edges = built((folder / "built").read_text().splitlines())
    components = [component(packages[it], checksums[it], required=it in linked) for it in sorted(edges) if it != root]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {"timestamp": timestamp(), "component": {"type": "application", **described(packages[root])}},
        "components": components,
        "dependencies": [{"ref": purl(it), "dependsOn": [purl(to) for to in sorted(edges[it])]} for it in sorted(edges)],
    }
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


def package(line: str) -> tuple[str, str]:
    """Name and version in a line of cargo's tree: `3tokio v1.54.0 (*)`."""
    name, version = line.lstrip("0123456789").split()[:2]
    return name, version.removeprefix("v")


def built(lines: list[str]) -> tuple[tuple[str, str], dict[tuple[str, str], set[tuple[str, str]]]]:
    """The package itself, and for all that takes part in its build on what it depends. What a line depends on stands deeper,
    once for each package."""
    edges: dict[tuple[str, str], set[tuple[str, str]]] = {}
    above: list[tuple[str, str]] = []
    for line in lines:
        depth = int(line[: len(line) - len(line.lstrip("0123456789"))])
        it = package(line)
        edges.setdefault(it, set())
        above = [*above[:depth], it]
        if depth:
            edges[above[depth - 1]].add(it)
    return above[0], edges


def component(crate: dict, checksum: str, *, required: bool) -> dict:
    """A crate, with the checksum of the archive that it was built from."""
    scope = "required" if required else "excluded"
    return {"type": "library", "scope": scope, "hashes": [{"alg": "SHA-256", "content": checksum}], **described(crate)}


def described(crate: dict) -> dict:
    """Name, version and licence."""
    # The form before SPDX expressions: `MIT/Apache-2.0`.
    licence = re.sub(r"\s*/\s*", " OR ", crate["license"] or "")
    url = purl((crate["name"], crate["version"]))
    found = {"bom-ref": url, "purl": url, "name": crate["name"], "version": crate["version"]}
    return found | ({"licenses": [{"expression": licence}]} if licence else {})


def purl(it: tuple[str, str]) -> str:
    """The package's URL, which is its name here, too."""
    return f"pkg:cargo/{it[0]}@{it[1]}"


def timestamp() -> str:
    """When what is described was written."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main()
