"""What is pressed in Slack goes the way of every request: onto the queue, and from there to ECS."""

import json

import events
from listener import OPERATOR, Listener, ended, press, slack
from processes import until
from stage import Stage


def an_operator_rolls_back_by_a_button_and_an_old_button_undoes_nothing(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    listener = Listener()
    daemon = stage.run(slack(listener), stage.target())
    buttons = []
    for number, tag in enumerate(["1.4", "1.5"], 1):
        stage.push("api", tag)
        stage.put(events.deploy("api", tag=tag))
        ended(daemon, number)
        until(f"{number} updates", lambda count=number: len(listener.posts("/api/chat.update")) >= count)
        blocks = listener.posts("/api/chat.update")[-1]["blocks"]
        buttons.append(next(it for it in blocks if it["type"] == "actions")["elements"][0])
    old, new = buttons
    assert press(daemon, listener, old, OPERATOR) == 200
    (told,) = until("an answer", lambda: listener.posts("/answer"))
    assert told["text"].startswith("Not done:") and "runs by now" in told["text"], told
    assert press(daemon, listener, new, OPERATOR) == 200
    until("another answer", lambda: len(listener.posts("/answer")) == 2)
    first, _, back = ended(daemon, 3)
    assert back["outcome"] == "succeeded" and back["definition"] == first["definition"], (first, back)
    assert "ann in Slack" in json.dumps(back["triggers"]), back
    assert daemon.target("api")["lane"]["hold"]["kind"] == "held"
    until("it was told that the target is held", lambda: any("held after a rollback" in it["body"] for it in listener.heard))
