"""The commands that ask a daemon, as people and CI systems call them."""

import json
import subprocess

import events
from daemon import Daemon
from processes import fetch, until
from stage import Stage

CI = "ci-token-0123456789abcdef"
TOKENS = '[[http.tokens]]\nname = "ci"\nrole = "operate"\nenv = "CI_TOKEN"\n'


def a_deployment_is_asked_for_and_followed_to_its_outcome(stage: Stage) -> None:
    daemon, api = _operated(stage)
    summary = stage.folder / "summary.md"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann", "GITHUB_SHA": "4f2a9c1e5d", "GITHUB_REPOSITORY": "shop/api"}
    github |= {"GITHUB_RUN_ID": "77", "GITHUB_STEP_SUMMARY": str(summary)}
    done = _ask(daemon, "deploy", "api", "--reason", "it leaks", "--wait", "--timeout", "1m", more=github)
    assert done.returncode == 0 and done.stdout.startswith("deploy api: succeeded after"), done
    assert " waiting" in done.stderr and " finished: " in done.stderr, done.stderr
    (deployment,) = daemon.deployments()
    metadata = deployment["triggers"][0]["metadata"]
    assert (metadata["user"], metadata["commit"], metadata["platform"]) == ("ann", "4f2a9c1e5d", "github"), metadata
    assert metadata["run_url"] == "https://github.com/shop/api/actions/runs/77", metadata
    written = summary.read_text()
    assert "### ✅ deploy api" in written and f"/deployments/{deployment['id']}" in written, written
    assert api.is_steady() and len(stage.updates()) == 1


def a_deployment_that_fails_ends_the_command_with_1(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    stage.push("api", "latest", "crash")
    done = _ask(daemon, "deploy", "api", "--wait", "--output", "json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["outcome"] == "rolled_back", done
    assert _ask(daemon, "history", "--outcome", "rolled_back").stdout.count(told["id"]) == 1


def what_is_asked_for_while_a_rollout_runs_is_followed_to_its_own_end(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    first = _rolling_out(stage, daemon)
    done = _ask(daemon, "deploy", "api", "--wait", "--timeout", "1m", "--output", "json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["outcome"] == "succeeded" and told["id"] != first["id"], (done, first)
    ended = stage.finished(daemon, 2)
    assert [it["id"] for it in ended] == [first["id"], told["id"]] and len(stage.updates()) == 2, ended


def what_waits_is_listed_and_cancelled_by_its_id_and_what_runs_goes_on(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    first = _rolling_out(stage, daemon)
    asked = json.loads(_ask(daemon, "deploy", "api", "--output", "json").stdout)
    (waiting,) = until("it waits", lambda: daemon.deployments(event=asked["event_id"]))
    assert waiting["stage"] == "waiting" and waiting["reason"].startswith(f"behind {first['id']} ("), waiting
    assert daemon.target("api")["lane"]["next"] == waiting["id"], daemon.target("api")
    assert f"{first['id']}, then {waiting['id']}" in _ask(daemon, "status").stdout
    for path in ("/", "/targets/api", f"/deployments/{waiting['id']}"):
        assert waiting["id"] in str(fetch(_url(daemon) + path)[1]), path
    assert _ask(daemon, "cancel", waiting["id"], "--reason", "not now").returncode == 0
    (cancelled,) = stage.finished(daemon, outcome="cancelled")
    assert cancelled["id"] == waiting["id"] and "not now" in cancelled["reason"], cancelled
    (succeeded,) = stage.finished(daemon, outcome="succeeded")
    assert succeeded["id"] == first["id"] and len(stage.updates()) == 1, succeeded
    until("it is set aside", lambda: stage.set_aside() == (1, 0))


def a_target_goes_back_and_is_held_until_it_is_resumed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = _run(stage, stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon)
    stage.rest(daemon)
    stage.forget()
    would = _ask(daemon, "rollback", "api", "--dry-run")
    assert would.returncode == 0 and "api goes back\n  from" in would.stdout and "until it is resumed" in would.stdout, would
    assert not stage.updates()
    done = _ask(daemon, "rollback", "api", "--wait", "--reason", "errors")
    assert done.returncode == 0 and "rollback of api: succeeded" in done.stdout, done
    assert api.image() == stage.image("api", "v1") and api.is_steady()
    assert "held" in _ask(daemon, "status").stdout
    assert _ask(daemon, "resume", "api").returncode == 0
    until("it is resumed", lambda: daemon.target("api")["lane"]["hold"] is None)
    stage.rest(daemon)


def targets_are_paused_listed_and_resumed(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    assert _ask(daemon, "pause", "--all", "--reason", "an incident").returncode == 0
    until("it is paused", lambda: daemon.target("api")["lane"]["hold"])
    told = _ask(daemon, "status").stdout
    assert "paused" in told and "an incident" in told and "\x1b" not in told, told
    asked = json.loads(_ask(daemon, "deploy", "api", "--output", "json").stdout)
    (waiting,) = until("it waits", lambda: daemon.deployments(event=asked["event_id"]))
    assert _ask(daemon, "cancel", waiting["id"]).returncode == 0
    stage.finished(daemon, event=asked["event_id"], outcome="cancelled")
    assert _ask(daemon, "cancel", waiting["id"]).returncode == 1
    assert _ask(daemon, "resume", "--all").returncode == 0
    until("it is resumed", lambda: daemon.target("api")["lane"]["hold"] is None)
    assert not stage.updates()


def what_is_asked_wrongly_or_of_nobody_is_told_by_the_exit_code(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    for words, code, told in [
        (["deploy", "nobody"], 1, "no target has the name or the id `nobody`"),
        (["deploy", "api", "--tag", "-x"], 2, "unexpected argument"),
        (["deploy", "api", "--tag=-x"], 2, "`tag` must be a tag"),
        (["deploy", "api", "--tag", "1", "--image", "x"], 2, "cannot be used with"),
        (["pause"], 2, "required"),
        (["cancel", "d-none"], 1, "no deployment `d-none`"),
        (["status", "--url", "http://127.0.0.1:1"], 1, "ask http://127.0.0.1:1"),
        (["status", "--url", "lockkeeper"], 2, "the URL of a daemon is written"),
        (["pause", "api", "--token", "wrong-token-0123456789"], 2, "shows no token that is taken here"),
    ]:
        done = _ask(daemon, *words)
        assert done.returncode == code and told in done.stderr, (words, done)
        assert "wrong-token" not in done.stdout + done.stderr
    nowhere = daemon.command("status")
    assert nowhere.returncode == 2 and "LOCKKEEPER_URL" in nowhere.stderr, nowhere


def letters_are_listed_and_put_back_by_the_api(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = _run(stage, stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", "sha256:" + "b" * 64))
    stage.finished(daemon)
    stage.rest(daemon)
    listed = _ask(daemon, "dead-letters", "--url", _url(daemon))
    assert listed.returncode == 0 and "rolled_back, image_pull" in listed.stdout, listed
    (letter,) = json.loads(_ask(daemon, "dead-letters", "--url", _url(daemon), "--output", "json").stdout)["items"]
    would = _ask(daemon, "replay", "--url", _url(daemon), "--id", letter["id"], "--dry-run")
    assert would.returncode == 0 and "rolled_back, image_pull" in would.stdout, would
    assert "1 letter would be put back." in would.stdout, would
    stage.push("api", "v2")
    done = _ask(daemon, "replay", "--url", _url(daemon), "--id", letter["id"])
    assert done.returncode == 0 and "1 letter put back." in done.stdout, done
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert stage.no_dead_letters()


def _operated(stage: Stage) -> tuple[Daemon, object]:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    return _run(stage, stage.target()), api


def _rolling_out(stage: Stage, daemon: Daemon) -> dict:
    """A deployment whose rollout has begun, and takes a while."""
    stage.push("api", "latest", "slow")
    event = json.loads(_ask(daemon, "deploy", "api", "--output", "json").stdout)["event_id"]

    def probe() -> list[dict]:
        return [it for it in daemon.deployments(event=event) if it["stage"] == "rollout"]

    (deployment,) = until("its rollout has begun", probe)
    return deployment


def _run(stage: Stage, *targets: str) -> Daemon:
    return stage.run(*targets, TOKENS, environment={"CI_TOKEN": CI})


def _url(daemon: Daemon) -> str:
    return f"http://127.0.0.1:{daemon.port}"


def _ask(daemon: Daemon, *words: str, more: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Calls a command as somebody does who has no settings, only a URL and a token."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LOCKKEEPER_URL": _url(daemon), "LOCKKEEPER_TOKEN": CI}
    return daemon.elsewhere(*words, environment=environment | (more or {}))
