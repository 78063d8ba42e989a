"""What is asked for over HTTP: who may, what comes of it, and who is kept away."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import events
from daemon import Daemon
from processes import until
from stage import Stage

CI = "ci-token-0123456789abcdef"
ANN = "ann-token-0123456789abcdef"
NOBODY_HAS_IT = "sha256:" + "b" * 64

TOKENS = """
[[http.tokens]]
name = "ci"
role = "operate"
env = "CI_TOKEN"
[[http.tokens]]
name = "ann"
role = "read"
env = "ANN_TOKEN"
"""


def a_deployment_that_is_asked_for_is_deployed_and_found_by_its_event(stage: Stage) -> None:
    daemon, api = _operated(stage)
    body = {"target": "api", "reason": "it leaks", "metadata": {"commit": "4f2a9c1", "platform": "github"}}
    status, answer, headers = _post(daemon, "/api/v1/deployments", body)
    assert status == 202 and headers["Location"].endswith(answer["event_id"]), (status, answer)
    (deployment,) = stage.finished(daemon, event=answer["event_id"])
    assert deployment["outcome"] == "succeeded", deployment
    (trigger,) = deployment["triggers"]
    assert (trigger["kind"], trigger["event_id"]) == ("deploy_requested", answer["event_id"]), trigger
    assert "ci" in trigger["reason"] and "it leaks" in trigger["reason"], trigger
    assert trigger["metadata"]["commit"] == "4f2a9c1", trigger
    stage.rest(daemon)
    assert len(stage.updates()) == 1 and api.is_steady()
    assert daemon.says("asked for over HTTP", by="ci", event_id=answer["event_id"])


def a_paused_target_waits_until_it_is_resumed(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    assert _post(daemon, "/api/v1/targets/api/pause", {"reason": "an incident"})[0] == 202
    hold = until("it is paused", lambda: daemon.target("api")["lane"]["hold"])
    assert (hold["kind"], hold["by"], hold["reason"]) == ("paused", "ci", "an incident"), hold
    _, answer, _ = _post(daemon, "/api/v1/deployments", {"target": "api"})
    (waiting,) = until("it waits", lambda: daemon.deployments(event=answer["event_id"]))
    time.sleep(1)
    assert not stage.updates() and waiting["stage"] == "waiting", waiting
    assert _post(daemon, "/api/v1/resume", {})[0] == 202
    (deployment,) = stage.finished(daemon, event=answer["event_id"])
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(daemon)
    assert daemon.target("api")["lane"]["hold"] is None


def a_deployment_that_waits_is_cancelled(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    _post(daemon, "/api/v1/pause", {})
    until("it is paused", lambda: daemon.target("api")["lane"]["hold"])
    _, asked, _ = _post(daemon, "/api/v1/deployments", {"target": "api"})
    (waiting,) = until("it waits", lambda: daemon.deployments(event=asked["event_id"]))
    lane = daemon.target("api")["lane"]
    assert (lane["deployment"], lane["next"], lane["waiting"]) == (None, waiting["id"], 1), lane
    status, answer, _ = _post(daemon, f"/api/v1/deployments/{lane['next']}/cancel", {"reason": "never mind"})
    assert status == 202, answer
    (ended,) = stage.finished(daemon, event=asked["event_id"])
    assert ended["outcome"] == "cancelled" and "never mind" in ended["reason"], ended
    until("it is set aside", lambda: stage.set_aside() == (1, 0))
    assert not stage.updates()
    assert _post(daemon, f"/api/v1/deployments/{waiting['id']}/cancel", {})[0] == 409


def without_a_token_nothing_is_changed_and_no_token_is_told(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    for token, status in [(None, 401), ("wrong-token-0123456789", 401), (ANN, 403), (CI, 202)]:
        assert _post(daemon, "/api/v1/targets/api/resume", {}, token)[0] == status, token
    stage.rest(daemon)
    assert daemon.get("/openapi.json")["openapi"].startswith("3.1")
    for secret in (CI, ANN, "wrong-token-0123456789"):
        assert secret not in daemon.text()


def nobody_can_change_anything_where_no_token_is_set(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    status, answer, _ = _post(daemon, "/api/v1/targets/api/pause", {})
    assert status == 403 and "[[http.tokens]]" in answer["detail"], answer
    assert stage.messages() == 0


def a_token_is_replaced_without_a_restart(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    path = stage.folder / "token"
    path.write_text(CI)
    rule = f'[http]\nreads = "token"\n[[http.tokens]]\nname = "ci"\nrole = "operate"\nfile = "{path}"\n'
    daemon = stage.launch(stage.target(), rule)
    until("it is ready", lambda: daemon.status("/readyz") == 200)
    assert daemon.status("/api/v1/targets") == 401 and daemon.status("/metrics") == 401
    assert _get(daemon, "/api/v1/targets", CI)[0] == 200
    path.write_text(f"{ANN}\n")
    until("the new one counts", lambda: _get(daemon, "/api/v1/targets", ANN)[0] == 200)
    assert _get(daemon, "/api/v1/targets", CI)[0] == 401
    daemon.process.kill()
    stage.daemons.remove(daemon)
    assert CI not in daemon.text() and ANN not in daemon.text()


def a_daemon_whose_token_is_not_there_does_not_start(stage: Stage) -> None:
    stage.queues()
    daemon = stage.launch(TOKENS, environment={"ANN_TOKEN": ANN})
    assert daemon.ends_within(20) == 2
    assert "the token `ci` of [[http.tokens]] cannot be used" in daemon.text()


def what_is_set_aside_is_listed_and_put_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = _run(stage, stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", NOBODY_HAS_IT))
    stage.finished(daemon)
    stage.rest(daemon)

    listed = daemon.get("/api/v1/dead-letters")
    (letter,) = listed["items"]
    assert (letter["outcome"], letter["cause"], letter["reaches"]) == ("rolled_back", "image_pull", ["api"]), letter
    assert listed["whole"] and listed["unseen"] == 0, listed
    assert daemon.get("/api/v1/dead-letters?cause=timeout")["items"] == []
    assert stage.set_aside() == (1, 0), "it was given back"

    status, would, _ = _post(daemon, "/api/v1/dead-letters/replay", {"target": "api", "dry_run": True})
    assert (status, would["done"], would["selected"], would["replayed"]) == (200, True, 1, 0), would
    assert would["would_replay"] == [letter["id"]], would
    stage.push("api", "v2")
    status, done, _ = _post(daemon, "/api/v1/dead-letters/replay", {"ids": [letter["id"], "nobody"]})
    assert (status, done["replayed"], done["missing"]) == (200, 1, ["nobody"]), done
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert stage.no_dead_letters() and daemon.get("/api/v1/dead-letters")["items"] == []


def who_listens_hears_of_every_change(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/api/v1/stream", timeout=30) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        heard = _events(stream)
        assert next(heard)[0] == "hello"
        _, asked, _ = _post(daemon, "/api/v1/deployments", {"target": "api"})
        states, outcome = [], None
        while outcome is None:
            name, data = next(heard)
            if name == "target":
                states.append(data["lane"]["state"])
            elif name == "deployment" and asked["event_id"] in [it["event_id"] for it in data["triggers"]]:
                outcome = data["outcome"]
        assert outcome == "succeeded" and "watching" in states, states


def who_says_nothing_is_cut_off_and_keeps_nobody_away(stage: Stage) -> None:
    daemon, _ = _operated(stage)
    silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(600)]
    for it in silent[:300]:
        it.sendall(b"GET /api/v1/targets HTTP/1.1\r\n")
    # One address has only so many connections: it is this one's own that are refused.
    with socket.create_connection(("127.0.0.1", daemon.port)) as refused:
        refused.settimeout(5)
        assert refused.recv(1) == b""
    silent[0].settimeout(60)
    assert silent[0].recv(100) == b"", "it was cut off"
    until("somebody else is answered", lambda: daemon.status("/livez") == 200)
    for it in silent:
        it.close()


def the_api_is_what_its_description_says(stage: Stage) -> None:
    daemon, _ = _operated(stage, "[http]\nreads_per_second = 100000\nwrites_per_second = 1000\n")
    # What is there, and then what is not.
    for known in ('[[operations]]\ninclude-path-regex = "/targets/"\nparameters = { id = "api" }\n', ""):
        (stage.folder / "schemathesis.toml").write_text(known)
        command = [Path(sys.executable).with_name("schemathesis"), "run"]
        command += [f"http://127.0.0.1:{daemon.port}/openapi.json", "--header", f"Authorization: Bearer {CI}"]
        # The stream never ends.
        command += ["--exclude-path", "/api/v1/stream"]
        # A cursor is one that was given, and a request asks for one thing only: no schema says so.
        command += ["--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "filter_too_much"]
        command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "1", "--no-color"]
        done = subprocess.run(command, cwd=stage.folder, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{done.stdout[-8000:]}{done.stderr[-2000:]}"
    assert daemon.status("/livez") == 200


def _operated(stage: Stage, *settings: str) -> tuple[Daemon, object]:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    return _run(stage, stage.target(), *settings), api


def _run(stage: Stage, *targets: str) -> Daemon:
    return stage.run(*targets, TOKENS, environment={"CI_TOKEN": CI, "ANN_TOKEN": ANN})


def _post(daemon: Daemon, path: str, body: dict, token: str | None = CI) -> tuple[int, dict, Message]:
    """Status, answer and headers of a POST."""
    return _ask(daemon, path, token, json.dumps(body).encode())


def _get(daemon: Daemon, path: str, token: str) -> tuple[int, dict, Message]:
    return _ask(daemon, path, token, None)


def _ask(daemon: Daemon, path: str, token: str | None, body: bytes | None) -> tuple[int, dict, Message]:
    headers = {"Content-Type": "application/json"} if body else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def _events(stream):
    """The events of a stream: each one's name and data."""
    name = None
    for line in stream:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
