"""What the shipped pipelines promise: nobody's run is cancelled by somebody else's, waits are left out where nobody can be asked,
and reports come whatever became of the rest."""

import sys
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def workflows() -> dict[str, dict]:
    """Those of GitHub, by file. YAML takes `on` for a truth."""
    found = {}
    for path in sorted((DEPLOY / "github-actions").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        found[path.name] = workflow | {"on": workflow[True]}
    assert len(found) == 5, found.keys()
    return found


def check_groups() -> None:
    """GitHub keeps one run that waits per group, and cancels an older one: pull requests share none with anything else, and what
    waits for reviewers holds up no other job."""
    for name, workflow in workflows().items():
        whole = workflow.get("concurrency", {}).get("group", "")
        if "pull_request" in workflow["on"] and whole:
            assert "github.ref" in whole, f"{name}: the group {whole} is shared with pull requests"
        guarded = [job for job in workflow["jobs"].values() if job.get("environment") in ("production", "infrastructure")]
        others = [job for job in workflow["jobs"].values() if "environment" in job and job not in guarded]
        if guarded and others:
            assert not whole, f"{name}: what waits for reviewers holds the group {whole}, and with it the other jobs"
            groups = [job["concurrency"]["group"] for job in guarded]
            assert all("${{" not in group for group in groups), f"{name}: {groups} lets two in at a time"
            assert not set(groups) & {job.get("concurrency", {}).get("group") for job in others}, f"{name}: {groups} is shared"


def check_waits() -> None:
    """Without the address of the API nothing waits, and nothing fails for that."""
    waits = 0
    for name, workflow in workflows().items():
        for job, steps in ((key, it["steps"]) for key, it in workflow["jobs"].items()):
            for step in (it for it in steps if "wait.sh" in it.get("run", "")):
                waits += 1
                assert step.get("if") == "vars.LOCKKEEPER_URL != ''", f"{name}: {job} fails where there is no LOCKKEEPER_URL"
    assert waits == 4, waits


def check_asks() -> None:
    """The AWS CLI ends well although an event was refused: only the script looks."""
    for path in (*(DEPLOY / "github-actions").glob("*.yml"), DEPLOY / "gitlab/.gitlab-ci.yml"):
        assert "put-events" not in path.read_text(), f"{path.name} puts events without looking at the answer"


def check_gitlab() -> None:
    """A job that somebody may start by hand holds up no later stage, so that the last one reports; and nobody is offered to
    promote a commit whose image was not pushed."""
    jobs = yaml.safe_load((DEPLOY / "gitlab/.gitlab-ci.yml").read_text())
    (pushed,) = jobs["push"]["rules"]
    for name in ("staging", "production"):
        (rule,) = jobs[name]["rules"]
        assert rule["when"] == "manual" and rule["allow_failure"] is True, f"{name} blocks what comes behind it"
        assert (rule["if"], rule["changes"]) == (pushed["if"], pushed["changes"]), f"{name} is offered without a push"
    assert jobs["stages"][-1] == jobs["report"]["stage"] and jobs["report"]["rules"] == [{"when": "always"}], jobs["report"]
    assert not jobs["report"].get("needs"), "what needs only some does not report of the others"


if __name__ == "__main__":
    check_groups()
    check_waits()
    check_asks()
    check_gitlab()
    print("the pipelines keep out of each other's way")
    sys.exit(0)
