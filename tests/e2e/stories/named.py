"""Every command that a page names, in its blocks or between its words, is there, with the options that it is named with."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import awscli.clidriver
from pages import FENCE
from stage import Stage

ROOT = Path(__file__).resolve().parents[3]
# What stands in the variables that settings name.
SECRET = "0123456789abcdef0123456789abcdef"
VALUES = {"url": "https://example.com/hook", "headers": "authorization=Bearer 0123456789abcdef"}
# Only version 2 of the CLI, which PyPI has not, follows a log.
NEWER = {("logs", "tail")}


def _commands(tool: str) -> Iterator[tuple[str, list[str]]]:
    """Where a tool is called, and the words behind its name, to the end of the command."""
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/README.md")):
        text = page.read_text()
        typed = [line for it in FENCE.finditer(text) if it[2] in ("sh", "console") for line in it[3].replace("\\\n", " ").splitlines()]
        typed += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
        for line in typed:
            # Also behind a variable, a pipe, or within another command.
            for found in re.finditer(rf"(?:^ *|\$ |\| |&& |\$\(|^[A-Z_]+=\S+ ){tool} ([a-z-][^|;&#)]*)", line):
                # What stands in quotes is somebody's data.
                yield f"{page.relative_to(ROOT)}: {line.strip()}", re.sub(r"'[^']*'?|\"[^\"]*\"?", "_", found[1]).split()


def _options(words: list[str]) -> list[str]:
    return [it.partition("=")[0] for it in words if it.startswith("--")]


def every_command_of_aws_that_the_pages_name_exists(stage: Stage) -> None:
    services = awscli.clidriver.create_clidriver()._get_command_table()
    wrong, known = [], 0
    for where, words in _commands("aws"):
        if len(words) < 2 or words[0] not in services or not re.fullmatch("[a-z0-9-]+", words[1]) or tuple(words[:2]) in NEWER:
            continue
        operations = _table(services[words[0]])
        if words[1] not in operations:
            wrong.append(where)
            continue
        known += 1
        arguments = {*_arguments(operations[words[1]]), "query", "output", "region", "endpoint-url"}
        wrong += [f"{where}: {it}" for it in _options(words) if it.removeprefix("--") not in arguments]
    assert not wrong, wrong
    assert known > 25, f"only {known} were found"


def _table(service: object) -> dict:
    """The operations of a service; of `s3`, which is not made of a model, its commands."""
    return getattr(service, "subcommand_table", None) or service._get_command_table()


def _arguments(operation: object) -> set[str]:
    """The options of an operation; a switch may be turned off, too."""
    return {name for name in operation.arg_table} | {f"no-{name}" for name in operation.arg_table}


def every_command_of_lockkeeper_that_the_pages_name_exists(stage: Stage) -> None:
    stage.queues()
    tool = stage.tool()
    helps: dict[str, str] = {}
    wrong, known = [], 0
    for where, words in _commands("lockkeeper"):
        name = next((it for number, it in enumerate(words) if re.fullmatch("[a-z-]+", it) and not words[max(number - 1, 0)].startswith("--")), None)
        if name is None:
            continue
        if name not in helps:
            done = tool.elsewhere(name, "--help", environment=stage.environment())
            helps[name] = done.stdout if done.returncode == 0 else ""
        known += 1
        text = helps[name]
        wrong += [] if text else [where]
        wrong += [f"{where}: {it}" for it in _options(words) if text and not re.search(rf"{re.escape(it)}\b", text)]
    assert not wrong, wrong
    assert known > 30, f"only {known} were found"


def every_target_of_make_that_the_pages_name_exists(_: Stage) -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"make ([a-z0-9-]+)", listed))
    named = {words[0] for _, words in _commands("make")}
    assert len(named) > 15 and named <= targets, named - targets


def every_installation_that_the_pages_show_would_start(_: Stage) -> None:
    """With settings, with discovery where they ask for it, in the same clusters; and with a rule for what a map of files names."""
    wrong, known = [], 0
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/README.md")):
        text = page.read_text()
        blocks = [it[3] for it in FENCE.finditer(text) if re.search(r'source += "\./deploy/terraform"|cloudformation deploy .*lockkeeper\.yaml', it[3])]
        known += len(blocks)
        tables = [it for it in re.findall(r"(?m)^ *\[discovery\]\n *clusters = (\[.*?\])", text)]
        for block in blocks:
            settled = re.search("settings_toml|SettingsToml|environment += ", block)
            finds = re.search(r"discovery += true|\bDiscovery=true", block)
            clusters = re.search(r"\bclusters += (\[.*\])|ClusterName=(\S+)", block)
            same = not tables or not clusters or (clusters[1] or f'["{clusters[2]}"]') in tables
            brought = "S3_SERVICE_MAP" not in block or "files " in block
            if not settled or bool(tables) != bool(finds) or not same or not brought:
                wrong.append(f"{page.name}: {block}")
    assert not wrong, "\n".join(wrong)
    assert known > 4, f"only {known} were found"


def every_settings_block_of_the_pages_is_sound(stage: Stage) -> None:
    stage.queues()
    wrong, known = [], 0
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/README.md")):
        for number, it in enumerate(found for found in FENCE.finditer(page.read_text()) if found[2] == "toml"):
            settings = stage.folder / f"{page.stem}-{number}.toml"
            settings.write_text(it[3])
            # What they name must be there: the tokens and addresses of channels.
            named = {name: VALUES.get(what, SECRET) for what, name in re.findall(r'(\w+)_env = "(\w+)"', it[3])}
            environment = {**stage.environment(), **named, "LOCKKEEPER__QUEUE__URL": stage.queue_url}
            done = stage.tool().elsewhere("check", "--offline", "--config", str(settings), environment=environment)
            known += 1
            wrong += [] if done.returncode == 0 else [f"{page.name}, block {number}: {done.stdout}{done.stderr}"]
    assert not wrong, "\n".join(wrong)
    assert known > 7, f"only {known} were found"
