"""moto's server, with what it lacks for Terraform's provider: calls that it does not know, and settings that it forgets.

Run in place of `moto_server`, with the same arguments. Each mend is what AWS does, as far as the provider looks at it.
"""

import functools
import json
import uuid

from moto.ecs.responses import EC2ContainerServiceResponse
from moto.events.models import EventPattern
from moto.events.responses import EventsHandler
from moto.logs.responses import LogsResponse
from moto.s3.responses import S3Response
from moto.server import main
from moto.sqs.models import DEFAULT_SENDER_ID, Queue
from moto.sts.models import STSBackend

ECS_FORGETS = (
    "availabilityZoneRebalancing",
    "deploymentConfiguration",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
)


def sqs_keeps_what_was_set() -> None:
    """RedriveAllowPolicy is unknown; RedrivePolicy comes back in other words; a call about one forgets the policy."""
    set_attributes, attributes = Queue._set_attributes, Queue.attributes.fget

    def remember(self: Queue, wanted: dict, now: float | None = None) -> None:
        policy = getattr(self, "policy", None)
        allowed = wanted.pop("RedriveAllowPolicy", None)
        set_attributes(self, wanted, now)
        if "Policy" not in wanted:
            self.policy = policy
        self.as_sent = {**getattr(self, "as_sent", {})}
        for name, value in (("RedriveAllowPolicy", allowed), ("RedrivePolicy", wanted.get("RedrivePolicy"))):
            if isinstance(value, str):
                self.as_sent[name] = value

    def show(self: Queue) -> dict:
        told = {**attributes(self), **getattr(self, "as_sent", {})}
        # What is empty is not there: the provider waits for that.
        return {name: value for name, value in told.items() if value not in ("", None)}

    Queue._set_attributes, Queue.attributes = remember, property(show)
    Queue.BASE_ATTRIBUTES.append("RedriveAllowPolicy")
    Queue.redrive_allow_policy = ""


def ecs_keeps_what_was_set() -> None:
    """Settings of a service that moto takes and never tells again."""

    def keeping(call, asked_for: bool):
        @functools.wraps(call)
        def answer(self):
            asked = dict(self._get_params())
            result = call(self)
            told = result.result
            for service in [told["service"]] if "service" in told else told.get("services", []):
                if asked_for:
                    kept = {**getattr(service, "kept", {}), **{name: asked[name] for name in ECS_FORGETS if name in asked}}
                    service.kept = kept
                for name, value in getattr(service, "kept", {}).items():
                    setattr(service, name, value)
            return result

        return answer

    for name, asked_for in (("create_service", True), ("update_service", True), ("describe_services", False)):
        setattr(EC2ContainerServiceResponse, name, keeping(getattr(EC2ContainerServiceResponse, name), asked_for))


def logs_keep_queries() -> None:
    """Saved queries of Logs Insights."""
    queries: dict[str, dict] = {}

    def put(self: LogsResponse) -> str:
        asked = json.loads(self.body)
        identity = asked.get("queryDefinitionId") or str(uuid.uuid4())
        queries[identity] = {**asked, "queryDefinitionId": identity}
        return json.dumps({"queryDefinitionId": identity})

    def describe(self: LogsResponse) -> str:
        prefix = json.loads(self.body).get("queryDefinitionNamePrefix", "")
        return json.dumps({"queryDefinitions": [it for it in queries.values() if it["name"].startswith(prefix)]})

    def delete(self: LogsResponse) -> str:
        return json.dumps({"success": queries.pop(json.loads(self.body)["queryDefinitionId"], None) is not None})

    LogsResponse.put_query_definition = put
    LogsResponse.describe_query_definitions = describe
    LogsResponse.delete_query_definition = delete


def s3_tells_that_it_tells() -> None:
    """Whether a bucket tells EventBridge is taken, and not told again."""
    ask, serialize = S3Response.get_bucket_notification, S3Response.serialized

    def asked(self: S3Response):
        self.tells = self.backend.get_bucket_notification_configuration(self.bucket_name)
        return ask(self)

    def told(self: S3Response, result):
        tells = getattr(self, "tells", None)
        body = getattr(result, "result", None)
        if tells is not None and tells.event_bridge is not None and isinstance(body, dict) and "QueueConfigurations" in body:
            body["EventBridgeConfiguration"] = {}
        return serialize(self, result)

    S3Response.get_bucket_notification, S3Response.serialized = asked, told


def events_test_patterns() -> None:
    """TestEventPattern, by what decides on moto's buses."""

    def test(self: EventsHandler) -> str:
        asked = json.loads(self.body)
        pattern = EventPattern.load(asked["EventPattern"])
        return json.dumps({"Result": pattern.matches_event(json.loads(asked["Event"]))})

    EventsHandler.test_event_pattern = test


def sts_knows_who_sends() -> None:
    """SQS names every sender by one id, and STS every caller by another: that of a user is the same."""
    ask = STSBackend.get_caller_identity

    def identity(self: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
        _, arn, account = ask(self, access_key_id, region)
        return DEFAULT_SENDER_ID, arn, account

    STSBackend.get_caller_identity = identity


if __name__ == "__main__":
    sqs_keeps_what_was_set()
    ecs_keeps_what_was_set()
    logs_keep_queries()
    s3_tells_that_it_tells()
    events_test_patterns()
    sts_knows_who_sends()
    main()
