"""What settings switch: triggers, dry run, the base, the old Lambda's variables."""

import json

import events
from stage import CHANGING, Stage, short


def a_trigger_that_is_off_changes_nothing(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    listed = {"parameters": ["/prod/shop/api/*"], "files": ["s3://shop-env/api.env"]}
    triggers = {"images": False, "parameters": False, "files": False, "requests": False}
    daemon = stage.run(stage.target(**listed, triggers=triggers))
    digest = stage.push("api", "latest")
    stage.put(
        events.push("api", "latest", digest),
        events.ready("api", "latest"),
        events.parameter("/prod/shop/api/KEY"),
        events.file("shop-env", "api.env"),
        events.deploy("api"),
    )
    for trigger in ("image_pushed", "image_ready", "parameter_changed", "env_file_changed", "deploy_requested"):
        stage.handled(daemon, 1, trigger=trigger, result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING) and stage.no_dead_letters()


def one_trigger_that_is_off_leaves_the_others_on(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(parameters=["/prod/shop/api/*"], triggers={"images": False}))
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    stage.handled(daemon, 1, trigger="image_pushed", result="nothing_asked")
    stage.put(events.parameter("/prod/shop/api/KEY"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment


def a_deleted_parameter_deploys_nothing(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(parameters=["/prod/shop/api/*"]))
    stage.put(events.parameter("/prod/shop/api/KEY", "Delete"))
    stage.handled(daemon, 1, trigger="parameter_changed", result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)


def a_dry_run_changes_nothing_and_says_so(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin", dry_run=True))
    stage.put(events.push("api", "v2", stage.push("api", "v2")), events.deploy("api"))
    _is_dry(stage, daemon, 2)


def the_old_lambdas_dry_run_changes_nothing_and_says_so(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    _chubby(stage, "chubby_service_api_dev")
    daemon = stage.run(environment={**LAMBDA, "DRY_RUN": "True"})
    stage.put(
        events.push("chubby_service_api", "latest", "sha256:" + "c" * 64),
        events.parameter("/dev/chubby/api/KEY"),
        events.deploy("api"),
    )
    _is_dry(stage, daemon, 3)


def _is_dry(stage: Stage, daemon, messages: int) -> None:
    stage.handled(daemon, messages)
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
    ended = daemon.deployments()
    assert ended and {it["outcome"] for it in ended} == {"dry_run"}, ended
    assert daemon.metric("lockkeeper_events_total", result="dry_run") > 0
    assert daemon.metric("lockkeeper_deployments_total", outcome="dry_run") == len(ended)
    assert len(daemon.says("deployment", outcome="dry_run")) == len(ended)
    assert stage.no_dead_letters()


LAMBDA = {"PROJECT_NAME": "chubby", "PROJECT_ENV": "dev", "LOCKKEEPER__DEFAULTS__QUIET": "200ms"}


def _chubby(stage: Stage, name: str, **options: object):
    return stage.service(name, cluster="chubby_cluster_dev", **options)


def the_old_lambdas_variables_find_services_by_name(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    _chubby(stage, "chubby_service_api_dev")
    _chubby(stage, "chubby_service_dev")
    _chubby(stage, "legacy-web")
    environment = {
        **LAMBDA,
        "ECS_SERVICE_MAP": json.dumps({"web": {"service_name": "legacy-web", "task_family": "legacy-web"}}),
        "S3_SERVICE_MAP": json.dumps({"web": [{"bucket": "chubby-env", "key": "web.env"}]}),
    }
    daemon = stage.run(environment=environment)
    stage.put(
        events.deploy("api"),
        events.deploy("backend"),
        events.file("chubby-env", "web.env"),
        events.parameter("/prod/chubby/api/KEY"),
        events.push("other_service_api", "latest", "sha256:" + "d" * 64),
    )
    ended = stage.finished(daemon, 3)
    stage.rest(daemon)
    assert [it["outcome"] for it in ended] == ["succeeded"] * 3, ended
    called = sorted(short(update["service"]) for update in stage.updates())
    assert called == ["chubby_service_api_dev", "chubby_service_dev", "legacy-web"]


def the_old_lambda_deploys_any_tag_from_the_latest_of_twelve_revisions(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    image = stage.image("chubby_service_api", "latest")
    api = _chubby(stage, "chubby_service_api_dev", image=image, revisions=12, runs=9)
    daemon = stage.run(environment=LAMBDA)
    stage.put(events.push("chubby_service_api", "any-tag", stage.push("chubby_service_api", "any-tag", "latest")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert [short(it["taskDefinition"]) for it in stage.updates()] == ["chubby_service_api_dev:12"]
    assert api.revision() == "chubby_service_api_dev:12" and not stage.registered()


def the_base_is_the_running_one_of_twelve_revisions(stage: Stage) -> None:
    assert _base(stage, "running") == "9"


def the_base_is_the_latest_of_twelve_revisions(stage: Stage) -> None:
    assert _base(stage, "latest") == "12"


def _base(stage: Stage, base: str) -> str:
    """The revision from which a refresh of a service starts that runs the ninth of twelve."""
    stage.queues()
    stage.with_rollouts()
    stage.service(revisions=12, runs=9)
    daemon = stage.run(stage.target(base=base))
    stage.put(events.deploy("api"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    (update,) = stage.updates()
    return update["taskDefinition"].rsplit(":", 1)[-1]


def a_family_without_definitions_is_an_invalid_base(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(base="latest", family="no-such-family"))
    stage.put(events.deploy("api"))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "definition_invalid"), deployment
    (letter,) = stage.dead_letters()
    assert "no task definitions found for family no-such-family" in letter["reason"], letter
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
