"""Nothing tells of a change: moto emits no events of ECR and SSM, and its S3 is not asked to, so every one of them is lost.

Of secrets only the call is looked at: moto says of each version of a secret that it was made just now.
"""

import json
import time
from collections import Counter

from processes import until
from stage import REGION, Stage

QUICK = """
[defaults]
quiet = "200ms"
timeout = "5s"
"""


def _settings(stage: Stage, mode: str) -> str:
    return f'{QUICK}[discovery]\nclusters = ["{stage.cluster}"]\n[reconcile]\nmode = "{mode}"\nevery = "10s"\n'


def _service(stage: Stage, name: str, container: dict) -> None:
    ecs = stage.client("ecs")
    ecs.create_cluster(clusterName=stage.cluster)
    container = {"name": "app", "image": "docker.io/library/nginx:1", "memory": 128, **container}
    ecs.register_task_definition(family=f"{stage.cluster}-{name}", containerDefinitions=[container])
    ecs.create_service(
        cluster=stage.cluster, serviceName=name, taskDefinition=f"{stage.cluster}-{name}", desiredCount=1
    )


class _Shop:
    """Three services, each of which depends on something else."""

    def __init__(self, stage: Stage):
        self.stage, name = stage, stage.cluster
        self.ssm, self.s3, self.ecr = stage.client("ssm"), stage.client("s3"), stage.client("ecr")
        self.ecr.create_repository(repositoryName=f"{name}/site")
        self.s3.create_bucket(Bucket=f"{name}-env", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.write("1")
        image = stage.image(f"{name}/site", "latest")
        file = {"type": "s3", "value": f"arn:aws:s3:::{name}-env/web.env"}
        _service(stage, "api", {"secrets": [{"name": "KEY", "valueFrom": f"/{name}/KEY"}]})
        _service(stage, "web", {"environmentFiles": [file]})
        _service(stage, "site", {"image": image})

    def write(self, value: str) -> None:
        """Gives everything this value."""
        name = self.stage.cluster
        self.ssm.put_parameter(Name=f"/{name}/KEY", Value=value, Type="String", Overwrite=True)
        self.s3.put_object(Bucket=f"{name}-env", Key="web.env", Body=value.encode())
        layers = [{"digest": f"sha256:{value * 64}", "size": 1, "mediaType": "x"}]
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": layers}
        self.ecr.put_image(
            repositoryName=f"{name}/site", imageTag="latest", imageManifest=json.dumps(manifest)
        )


def a_change_of_which_nothing_told_is_found_and_deployed_once(stage: Stage) -> None:
    stage.queues()
    shop = _Shop(stage)
    daemon = stage.run(_settings(stage, "repair"))
    # A rollout within a second of a change counts as one before it.
    time.sleep(2)
    shop.write("2")
    stage.finished(daemon, 3, seconds=90)
    reasons = sorted(trigger["reason"].split(" at ")[0] for it in daemon.deployments() for trigger in it["triggers"])
    name = stage.cluster
    expected = [
        f"parameter /{name}/KEY updated",
        f"push of {name}/site:latest",
        f"s3://{name}-env/web.env written",
    ]
    assert reasons == expected, reasons
    # Two more passes find nothing.
    passes = daemon.metric("lockkeeper_reconcile_duration_seconds_count")
    until("it has looked again", lambda: daemon.metric("lockkeeper_reconcile_duration_seconds_count") >= passes + 2, 60)
    deployed = Counter(update["service"] for update in stage.updates())
    assert deployed == {"api": 1, "web": 1, "site": 1}, deployed
    assert daemon.metric("lockkeeper_drift_repairs_total") == 3 and stage.no_dead_letters()


def a_change_of_which_nothing_told_is_only_told_where_the_settings_say_so(stage: Stage) -> None:
    stage.queues()
    shop = _Shop(stage)
    daemon = stage.run(_settings(stage, "report"))
    time.sleep(2)
    shop.write("2")
    until("all drift is found", lambda: daemon.metric("lockkeeper_drift") == 3, 60)
    assert daemon.text().count("drift: ") == 3, daemon.text()
    assert stage.updates() == [] and stage.no_dead_letters()


def of_a_secret_only_its_versions_are_asked_for(stage: Stage) -> None:
    stage.queues()
    secret = stage.client("secretsmanager").create_secret(Name=f"{stage.cluster}/KEY", SecretString="hidden")["ARN"]
    _service(stage, "api", {"secrets": [{"name": "KEY", "valueFrom": secret}]})
    daemon = stage.run(_settings(stage, "report"))
    asked = {"service": "secretsmanager", "operation": "ListSecretVersionIds", "result": "ok"}
    until("its versions are asked for", lambda: daemon.metric("lockkeeper_aws_requests_total", **asked) >= 1, 60)
    assert "GetSecretValue" not in daemon.text() and "hidden" not in daemon.text()
    assert stage.updates() == [] and stage.no_dead_letters()
