"""Every block of TOML, JSON and HCL in a page can be read by who reads that."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

from links import ROOT, pages

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def read_hcl(text: str) -> None:
    """By Terraform's own parser."""
    subprocess.run(["terraform", "fmt", "-no-color", "-"], input=text, capture_output=True, text=True, check=True)


READERS: dict[str, Callable[[str], object]] = {"toml": tomllib.loads, "json": json.loads, "hcl": read_hcl}


def main() -> int:
    if not shutil.which("terraform"):
        print("SKIPPED: the pages' HCL was not read: there is no terraform on this machine", file=sys.stderr)
        del READERS["hcl"]
    wrong, counted = [], dict.fromkeys(READERS, 0)
    for page in pages():
        text = page.read_text()
        for found in FENCE.finditer(text):
            if reader := READERS.get(found[2]):
                counted[found[2]] += 1
                try:
                    reader(textwrap.dedent(found[3]))
                except Exception as error:  # Whatever is wrong with it is wrong with the page.
                    where = text[: found.start()].count("\n") + 1
                    wrong.append(f"{page.relative_to(ROOT)}:{where}: {getattr(error, 'stderr', None) or error}")
    assert all(counted.values()), counted
    print("\n".join(wrong) or f"blocks that can be read: {counted}", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
