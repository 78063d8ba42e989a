mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  image      = "registry.example.com/lockkeeper:1.0.0"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]
  clusters   = ["shop-prod"]

  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]

  settings_toml = "[[target]]\nname = \"api\"\n"
}

run "every_trigger_has_its_rule" {
  command = plan

  variables {
    files    = [{ bucket = "shop-env" }]
    triggers = { image_scans = true, image_removals = true, files_cloudtrail = true, decisions = true }
  }

  assert {
    condition = toset(keys(aws_cloudwatch_event_rule.this)) == toset([
      "decisions", "deploy-requests", "files", "files-cloudtrail", "hooks", "image-pushes", "image-ready", "image-removals", "image-replications",
      "image-scans-basic", "image-scans-enhanced", "parameters", "rollouts", "secrets", "secrets-cloudtrail",
      "service-actions", "service-deploys", "stopped-tasks",
    ])
    error_message = "the rules are ${join(", ", keys(aws_cloudwatch_event_rule.this))}"
  }
}

run "every_trigger_can_be_switched_off" {
  command = plan

  variables {
    files = [{ bucket = "shop-env" }]
    triggers = {
      image_pushes    = false, image_replications = false, image_scans = false, parameters = false, secrets = false
      files           = false, files_cloudtrail = false, secrets_cloudtrail = false, image_ready = false, rollouts = false
      service_deploys = false, deploy_requests = false, service_actions = false, hooks = false, stopped_tasks = false
    }
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.this) == 0
    error_message = "left over: ${join(", ", keys(aws_cloudwatch_event_rule.this))}"
  }
  assert {
    condition     = length(aws_cloudwatch_event_target.this) == 0
    error_message = "a target is left over"
  }
}

run "requests_can_be_left_out_at_once" {
  command = plan

  variables {
    triggers = { requests = false }
  }

  assert {
    condition     = length(setintersection(keys(output.rule_arns), ["service-deploys", "deploy-requests"])) == 0
    error_message = "an event may still ask for a deployment: ${join(", ", keys(output.rule_arns))}"
  }
  assert {
    condition     = contains(keys(output.rule_arns), "image-ready")
    error_message = "that an image is ready is no request: the daemon counts it among the images"
  }
}

run "nothing_to_look_for_makes_no_rule" {
  command = plan

  variables {
    repositories = []
    parameters   = []
    secret_names = []
    files        = []
    triggers     = { image_scans = true, files_cloudtrail = true }
  }

  assert {
    condition = toset(keys(aws_cloudwatch_event_rule.this)) == toset([
      "deploy-requests", "hooks", "image-ready", "rollouts", "service-actions", "service-deploys", "stopped-tasks",
    ])
    error_message = "the rules are ${join(", ", keys(aws_cloudwatch_event_rule.this))}"
  }
}

run "a_push_is_tagged_successful_and_of_a_named_repository" {
  command = plan

  variables {
    repositories = ["shop_*", "base/web", "*-api"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["image-pushes"].event_pattern) == {
      source        = ["aws.ecr"]
      "detail-type" = ["ECR Image Action"]
      detail = {
        "action-type"     = ["PUSH"]
        result            = ["SUCCESS"]
        "image-tag"       = [{ "anything-but" = [""] }]
        "repository-name" = [{ prefix = "shop_" }, "base/web", { wildcard = "*-api" }]
      }
    }
    error_message = aws_cloudwatch_event_rule.this["image-pushes"].event_pattern
  }
  assert {
    condition     = aws_cloudwatch_event_rule.this["image-pushes"].event_bus_name == "default"
    error_message = "AWS's own events arrive on the default bus"
  }
}

run "a_star_alone_is_left_out_of_the_pattern" {
  command = plan

  assert {
    condition     = !strcontains(aws_cloudwatch_event_rule.this["image-pushes"].event_pattern, "repository-name")
    error_message = aws_cloudwatch_event_rule.this["image-pushes"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["parameters"].event_pattern) == {
      source        = ["aws.ssm"]
      "detail-type" = ["Parameter Store Change"]
      detail        = { operation = ["Create", "Update", "Delete"], exception = [{ exists = false }] }
    }
    error_message = aws_cloudwatch_event_rule.this["parameters"].event_pattern
  }
}

run "an_enhanced_scan_names_the_repository_by_its_arn" {
  command = plan

  variables {
    repositories = ["shop_*"]
    triggers     = { image_scans = true }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["image-scans-enhanced"].event_pattern) == {
      source        = ["aws.inspector2"]
      "detail-type" = ["Inspector2 Scan"]
      detail = {
        "scan-status"     = ["INITIAL_SCAN_COMPLETE"]
        "repository-name" = [{ prefix = "arn:aws:ecr:eu-west-1:111122223333:repository/shop_" }]
      }
    }
    error_message = aws_cloudwatch_event_rule.this["image-scans-enhanced"].event_pattern
  }
}

run "a_secret_is_found_by_name_and_by_arn" {
  command = plan

  variables {
    secret_names = ["shop/db", "shop/api/*"]
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["secrets"].event_pattern).detail.name == ["shop/db", { prefix = "shop/api/" }]
    error_message = aws_cloudwatch_event_rule.this["secrets"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["secrets-cloudtrail"].event_pattern).detail["$or"][0].requestParameters.secretId == [
      "shop/db",
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db",
      { prefix = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-" },
      { prefix = "shop/api/" },
      { prefix = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/api/" },
    ]
    error_message = aws_cloudwatch_event_rule.this["secrets-cloudtrail"].event_pattern
  }
}

run "each_bucket_has_its_own_keys_and_failed_calls_are_left_out" {
  command = plan

  variables {
    files    = [{ bucket = "shop-env", keys = ["prod/*.env"] }, { bucket = "other-env" }]
    triggers = { files_cloudtrail = true }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["files"].event_pattern) == {
      source        = ["aws.s3"]
      "detail-type" = ["Object Created", "Object Deleted"]
      detail = { "$or" = [
        { bucket = { name = ["shop-env"] }, object = { key = [{ wildcard = "prod/*.env" }] } },
        { bucket = { name = ["other-env"] } },
      ] }
    }
    error_message = aws_cloudwatch_event_rule.this["files"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["files-cloudtrail"].event_pattern).detail == {
      eventSource = ["s3.amazonaws.com"]
      eventName   = ["PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"]
      errorCode   = [{ exists = false }]
      "$or" = [
        { requestParameters = { bucketName = ["shop-env"], key = [{ wildcard = "prod/*.env" }] } },
        { requestParameters = { bucketName = ["other-env"] } },
      ]
    }
    error_message = aws_cloudwatch_event_rule.this["files-cloudtrail"].event_pattern
  }
}

run "one_bucket_alone_is_no_list_of_alternatives" {
  command = plan

  variables {
    files    = [{ bucket = "shop-env", keys = ["prod/*.env"] }]
    triggers = { files_cloudtrail = true }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["files"].event_pattern) == {
      source        = ["aws.s3"]
      "detail-type" = ["Object Created", "Object Deleted"]
      detail        = { bucket = { name = ["shop-env"] }, object = { key = [{ wildcard = "prod/*.env" }] } }
    }
    error_message = aws_cloudwatch_event_rule.this["files"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["files-cloudtrail"].event_pattern).detail == {
      eventSource       = ["s3.amazonaws.com"]
      eventName         = ["PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"]
      errorCode         = [{ exists = false }]
      requestParameters = { bucketName = ["shop-env"], key = [{ wildcard = "prod/*.env" }] }
    }
    error_message = aws_cloudwatch_event_rule.this["files-cloudtrail"].event_pattern
  }
}

run "requests_are_taken_from_their_bus_and_environments" {
  command = plan

  variables {
    request_bus_name = "ci"
    environments     = ["dev", "prod"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["service-deploys"].event_pattern) == {
      source        = ["github.actions.dev", "github.actions.prod"]
      "detail-type" = [{ "equals-ignore-case" = "SERVICE_DEPLOY" }]
    }
    error_message = aws_cloudwatch_event_rule.this["service-deploys"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["image-ready"].event_pattern) == {
      source        = ["github.actions"]
      "detail-type" = [{ "equals-ignore-case" = "Deployment Ready" }]
    }
    error_message = aws_cloudwatch_event_rule.this["image-ready"].event_pattern
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["deploy-requests"].event_pattern) == {
      source = ["action.production", "action.deploy"]
    }
    error_message = aws_cloudwatch_event_rule.this["deploy-requests"].event_pattern
  }
  assert {
    condition = [for name, rule in aws_cloudwatch_event_rule.this : name if rule.event_bus_name == "ci"] == [
      "deploy-requests", "image-ready", "service-deploys",
    ]
    error_message = "only requests come from the bus of the requests"
  }
}

run "ecs_events_are_confined_to_the_clusters" {
  command = plan

  variables {
    clusters = ["shop-prod", "shop-dev"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["rollouts"].event_pattern).resources == [
      { prefix = "arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/" },
      { prefix = "arn:aws:ecs:eu-west-1:111122223333:service/shop-dev/" },
    ]
    error_message = aws_cloudwatch_event_rule.this["rollouts"].event_pattern
  }
  assert {
    condition = alltrue([for name in ["service-actions", "hooks", "stopped-tasks"] :
      jsondecode(aws_cloudwatch_event_rule.this[name].event_pattern).detail.clusterArn == [
        "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod", "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-dev",
    ]])
    error_message = "an ECS rule is not confined to the clusters"
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["stopped-tasks"].event_pattern).detail.lastStatus == ["STOPPED"]
    error_message = aws_cloudwatch_event_rule.this["stopped-tasks"].event_pattern
  }
}

run "a_pattern_that_eventbridge_would_refuse_is_refused_here" {
  command = plan

  variables {
    repositories = [for n in range(200) : "shop_service_${n}"]
  }

  expect_failures = [aws_cloudwatch_event_rule.this]
}

run "a_person_decides_by_an_event_only_where_that_is_wanted" {
  command = plan

  variables {
    request_bus_name = "ci"
    triggers         = { decisions = true }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["decisions"].event_pattern) == {
      source        = ["lockkeeper.decision"]
      "detail-type" = ["Approve", "Reject", "Cancel", "Pause", "Resume"]
    }
    error_message = aws_cloudwatch_event_rule.this["decisions"].event_pattern
  }
  assert {
    condition     = aws_cloudwatch_event_rule.this["decisions"].event_bus_name == "ci"
    error_message = "decisions are requests, and come from their bus"
  }
}
