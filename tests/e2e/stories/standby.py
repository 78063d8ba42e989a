"""Two processes on one queue, of which one acts."""

import signal
import time

import events
from daemon import Daemon
from processes import until
from relay import Relay
from stage import CHANGING, Service, Stage

# What a member may not do while another one has the lease.
ACTING = {*CHANGING, "DeleteMessageBatch", "SendMessage"}


class Member:
    """A process with ways of its own to ECS, SQS and DynamoDB, so that its calls can be told from those of others."""

    def __init__(self, stage: Stage, *targets: str):
        self.ecs = Relay(*stage.port_of(stage.world.url))
        self.sqs, self.table = (Relay(*stage.port_of(stage.emulator.url)) for _ in range(2))
        ways = {"ECS": self.ecs, "SQS": self.sqs, "DYNAMODB": self.table}
        environment = {f"AWS_ENDPOINT_URL_{service}": relay.url for service, relay in ways.items()}
        environment["LOCKKEEPER__LEASE__TABLE"] = stage.cluster
        self.daemon: Daemon = stage.launch(*targets, environment=environment)

    def lease(self) -> str:
        """How it stands towards the lease, by its own words."""
        parts = self.daemon.get("/health").get("parts", {})
        return parts.get("lease", {}).get("state", "")

    def is_active(self) -> bool:
        """Whether it acts."""
        return self.daemon.metric("lockkeeper_active") == 1 and self.lease() == "active"

    def changes(self) -> list[str]:
        """The calls that change something and have passed its relays, in order."""
        return [it for relay in (self.ecs, self.sqs) for it in relay.operations() if it in ACTING]


def _table(stage: Stage) -> None:
    """Makes the lease table, as the Terraform module does. The lease was given back."""
    dynamodb = stage.client("dynamodb")
    dynamodb.create_table(
        TableName=stage.cluster,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"pk": {"S": stage.arn("sqs", stage.cluster)}, "counter": {"N": "0"}}
    dynamodb.put_item(TableName=stage.cluster, Item=item)


def _two(stage: Stage, *targets: str) -> tuple[Member, Member]:
    """Two members: the first acts, the second is ready to."""
    stage.queues()
    _table(stage)
    one = Member(stage, *targets)
    until("the first acts", one.is_active, 20)
    other = Member(stage, *targets)
    other.daemon.wait_until_ready()
    until("the other stands by", lambda: other.lease() == "standby")
    assert other.daemon.metric("lockkeeper_active") == 0
    assert one.is_active() and one.daemon.status("/readyz") == 200
    return one, other


def _rolls_out_slowly(stage: Stage) -> tuple[Service, Member, Member]:
    """The first has started a rollout that takes a while."""
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    one, other = _two(stage, stage.target(on_push="pin"))
    stage.world.dials(start_ms=150_000)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the rollout is watched", lambda: one.daemon.target("api")["lane"]["state"] == "watching")
    assert not other.daemon.deployments() and not other.changes()
    return api, one, other


def _finishes(stage: Stage, api: Service, heir: Member, before: Member) -> None:
    """The heir sees the rollout to its end, and says so once; nobody starts another."""
    (deployment,) = stage.finished(heir.daemon, seconds=90)
    stage.rest(heir.daemon)
    assert deployment["outcome"] in ("succeeded", "already_running"), deployment
    assert len(heir.daemon.deployments()) == 1
    assert not before.daemon.says("deployment", outcome="succeeded")
    assert len(stage.updates()) == 1 and len(stage.registered()) == 1, stage.calls(*CHANGING)
    assert api.image() == stage.image("api", "v2") and api.is_steady() and stage.no_dead_letters()


def a_standby_takes_over_within_twenty_seconds_of_a_kill_and_finishes_the_rollout(stage: Stage) -> None:
    api, one, other = _rolls_out_slowly(stage)
    one.daemon.signal(signal.SIGKILL)
    one.daemon.ends_within(5)
    began = time.monotonic()
    until("the standby acts", other.is_active, 20)
    assert time.monotonic() - began > 5, "it did not wait for the lease to run out"
    assert other.daemon.says("took the lease over from")
    _finishes(stage, api, other, one)


def a_standby_takes_over_within_three_seconds_of_a_stop(stage: Stage) -> None:
    api, one, other = _rolls_out_slowly(stage)
    one.daemon.signal(signal.SIGTERM)
    until("the standby acts", other.is_active, 3)
    assert one.daemon.ends_within(10) == 0, one.daemon.text()[-2000:]
    _finishes(stage, api, other, one)


def a_member_that_was_stopped_while_the_lease_moved_begins_nothing(stage: Stage) -> None:
    stage.with_rollouts()
    api = stage.service()
    one, other = _two(stage, stage.target(quiet="4s"))
    stage.put(events.deploy("api"))
    until("the first holds the request", lambda: one.daemon.metric("lockkeeper_leases_held") == 1)
    one.daemon.signal(signal.SIGSTOP)
    until("the lease moves", other.is_active, 20)
    # What it was to start is long due when it goes on.
    one.daemon.signal(signal.SIGCONT)
    until("it is on standby", lambda: one.lease() == "standby" and one.daemon.metric("lockkeeper_active") == 0, 4)
    assert one.daemon.says("lost the lease")
    (deployment,) = stage.finished(other.daemon, seconds=90)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(other.daemon)
    assert one.changes() == [], one.changes()
    assert len(stage.updates()) == 1 and other.changes().count("UpdateService") == 1
    assert api.is_steady() and one.daemon.status("/readyz") == 200
    # It is as good a standby as any.
    other.daemon.signal(signal.SIGTERM)
    until("the first acts again", one.is_active, 12)
    stage.put(events.deploy("api", reason="again"))
    stage.finished(one.daemon)
    stage.rest(one.daemon)


def a_member_that_does_not_reach_the_table_begins_nothing_and_says_so(stage: Stage) -> None:
    stage.with_rollouts()
    stage.service()
    stage.queues()
    _table(stage)
    one = Member(stage, stage.target())
    until("it acts", one.is_active, 20)
    one.table.cut()
    until("it stops acting", lambda: one.daemon.status("/readyz") == 503, 12)
    lease = one.daemon.get("/health")["parts"]["lease"]
    assert (lease["ok"], lease["state"]) == (False, "lost") and "has not answered for" in lease["detail"], lease
    assert one.daemon.status("/livez") == 200
    stage.put(events.deploy("api"))
    time.sleep(3)
    assert one.changes() == [] and not one.is_active() and stage.messages() == 1
    one.table.mend()
    until("it acts again", one.is_active, 20)
    (deployment,) = stage.finished(one.daemon)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(one.daemon)
    assert one.changes().count("UpdateService") == 1


def a_standby_has_read_the_services_before_it_takes_over(stage: Stage) -> None:
    stage.with_rollouts()
    stage.service()
    found = '[defaults]\nquiet = "200ms"\n[discovery]\nclusters = ["*"]\nrefresh = "1h"\n'
    one, other = _two(stage, found)

    def knows(*names: str) -> bool:
        return sorted(it["name"] for it in other.daemon.targets()) == sorted(names)

    until("the standby knows the service", lambda: knows("api"))
    inventory = other.daemon.get("/health")["parts"]["inventory"]
    assert (inventory["ok"], inventory["state"]) == (True, "complete"), inventory
    # A standby hears of nothing: what was made meanwhile it reads when it acts.
    stage.service("new")
    one.daemon.signal(signal.SIGTERM)
    until("the standby acts", other.is_active, 3)
    digest = stage.push("api", "latest")
    stage.put(events.push("api", "latest", digest))
    (deployment,) = stage.finished(other.daemon)
    assert deployment["outcome"] == "succeeded", deployment
    until("it has found the new one", lambda: knows("api", "new"), 60)
    stage.rest(other.daemon)


def the_first_process_ever_founds_the_item_and_waits(stage: Stage) -> None:
    stage.queues()
    _table(stage)
    key = {"pk": {"S": stage.arn("sqs", stage.cluster)}}
    stage.client("dynamodb").delete_item(TableName=stage.cluster, Key=key)
    stage.with_rollouts()
    stage.service()
    began = time.monotonic()
    one = Member(stage, stage.target())
    until("it acts", one.is_active, 25)
    assert time.monotonic() - began > 10, "somebody might have deleted the item of one that acts"
    stage.put(events.deploy("api"))
    stage.finished(one.daemon)


def without_its_table_it_does_not_start(stage: Stage) -> None:
    stage.queues()
    for table, words in (("no-such-table", "names no table that exists"), ("x", "is not the name")):
        daemon = stage.launch(environment={"LOCKKEEPER__LEASE__TABLE": table})
        assert daemon.ends_within(20) in (1, 2) and words in daemon.text(), daemon.text()


def a_table_with_another_key_is_refused(stage: Stage) -> None:
    stage.queues()
    stage.client("dynamodb").create_table(
        TableName=stage.cluster,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    daemon = stage.launch(environment={"LOCKKEEPER__LEASE__TABLE": stage.cluster})
    assert daemon.ends_within(20) == 1 and "the only key of the table" in daemon.text(), daemon.text()
