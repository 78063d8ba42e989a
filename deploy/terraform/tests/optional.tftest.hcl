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

run "nothing_is_made_that_was_not_asked_for" {
  command = plan

  assert {
    condition = (length(aws_ecr_repository.this) + length(aws_ecs_cluster.this) + length(aws_lb_target_group.this)
      + length(aws_lb_listener_rule.this) + length(aws_service_discovery_service.this) + length(aws_cloudwatch_event_archive.this)
      + length(aws_cloudwatch_event_bus.forwarded) + length(aws_cloudtrail.this) + length(aws_s3_bucket.trail)
      + length(aws_s3_bucket_notification.files) + length(aws_sns_topic.alarms) + length(aws_iam_role.send)
    + length(aws_cloudwatch_event_rule.reconcile) + length(aws_dynamodb_table.lease)) == 0
    error_message = "something was made that nobody asked for"
  }
}

run "its_own_repository_is_scanned_and_keeps_what_one_might_go_back_to" {
  command = apply

  variables {
    image             = null
    image_tag         = "1.0.0"
    create_repository = true
  }

  assert {
    condition = (aws_ecr_repository.this[0].image_scanning_configuration[0].scan_on_push
    && aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE")
    error_message = "not scanned, or its tags can be moved"
  }
  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this[0].policy).rules[1].selection.countNumber == 20
    error_message = aws_ecr_lifecycle_policy.this[0].policy
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].image == "${aws_ecr_repository.this[0].repository_url}:1.0.0"
    error_message = aws_ecs_task_definition.this.container_definitions
  }
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Sid => s.Resource
      if contains(["PullImage", "RegistryLogin"], s.Sid)
    } == { PullImage = [aws_ecr_repository.this[0].arn], RegistryLogin = ["*"] }
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "an_image_is_named_in_one_way_or_the_other" {
  command = plan

  variables {
    image             = null
    create_repository = true
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "before_the_first_image_nothing_runs" {
  command = plan

  variables {
    running = false
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 0 && length(aws_cloudwatch_metric_alarm.inactive) == 0
    error_message = "a task without an image would trip the breaker"
  }
}

run "a_cluster_of_its_own" {
  command = apply

  variables {
    create_cluster = true
  }

  assert {
    condition     = aws_ecs_service.this.cluster == aws_ecs_cluster.this[0].arn && aws_ecs_cluster.this[0].name == "lockkeeper"
    error_message = aws_ecs_service.this.cluster
  }
}

run "a_queue_that_is_there_keeps_its_policy_and_the_rules_send_by_a_role" {
  command = apply

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments-dlq"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:deployments-dlq"
    }
  }

  assert {
    condition     = length(aws_sqs_queue.main) + length(aws_sqs_queue.dead_letters) == 0 && keys(aws_sqs_queue_policy.this) == ["undelivered"]
    error_message = "a queue, or a policy of one, that was there already"
  }
  assert {
    condition = alltrue([for t in aws_cloudwatch_event_target.this :
    t.arn == "arn:aws:sqs:eu-west-1:111122223333:deployments" && t.role_arn == aws_iam_role.send[0].arn])
    error_message = "a rule does not send by the role"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.send[0].policy).Statement[0].Resource == ["arn:aws:sqs:eu-west-1:111122223333:deployments"]
    error_message = aws_iam_role_policy.send[0].policy
  }
  assert {
    condition = {
      for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.name => e.value if startswith(e.name, "LOCKKEEPER__QUEUE")
      } == {
      LOCKKEEPER__QUEUE__URL             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      LOCKKEEPER__QUEUE__DEAD_LETTER_URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments-dlq"
    }
    error_message = aws_ecs_task_definition.this.container_definitions
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters"].dimensions == tomap({ QueueName = "deployments-dlq" })
    error_message = "the alarm looks at another queue"
  }
}

run "a_fifo_queue_is_refused" {
  command = plan

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments.fifo"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments.fifo"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/dlq.fifo"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:dlq.fifo"
    }
  }

  expect_failures = [var.existing_queue]
}

run "behind_a_load_balancer" {
  command = apply

  variables {
    alb = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/a/b/c"
      security_group_id = "sg-alb"
      host_names        = ["deployments.example.com"]
    }
  }

  assert {
    condition = (aws_lb_target_group.this[0].target_type == "ip" && aws_lb_target_group.this[0].port == 8080
    && aws_lb_target_group.this[0].health_check[0].path == "/readyz")
    error_message = "the load balancer cannot reach the task, or asks it for something else"
  }
  assert {
    condition     = [for c in aws_lb_listener_rule.this[0].condition : c.host_header[0].values if length(c.host_header) > 0] == [toset(["deployments.example.com"])]
    error_message = "the rule takes other requests"
  }
  assert {
    condition     = [for r in aws_vpc_security_group_ingress_rule.http : r.referenced_security_group_id] == ["sg-alb"]
    error_message = "the load balancer may not connect, or somebody else may"
  }
  assert {
    condition     = one(aws_ecs_service.this.load_balancer).container_port == 8080
    error_message = "the service is not registered"
  }
}

run "a_listener_rule_says_what_it_is_for" {
  command = plan

  variables {
    alb = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/a/b/c"
      security_group_id = "sg-alb"
    }
  }

  expect_failures = [var.alb]
}

run "prometheus_finds_it_by_name" {
  command = apply

  variables {
    dns_namespace = "tools.internal"
  }

  assert {
    condition = (aws_service_discovery_service.this[0].name == "lockkeeper" && output.dns_name == "lockkeeper.tools.internal"
    && one(aws_ecs_service.this.service_registries).registry_arn == aws_service_discovery_service.this[0].arn)
    error_message = "the task has no name"
  }
}

run "other_accounts_forward_to_a_bus_that_takes_no_others" {
  command = apply

  variables {
    source_accounts = ["444455556666"]
  }

  assert {
    condition = (jsondecode(aws_cloudwatch_event_bus_policy.forwarded[0].policy).Statement[0].Principal == { AWS = ["arn:aws:iam::444455556666:root"] }
    && jsondecode(aws_cloudwatch_event_bus_policy.forwarded[0].policy).Statement[0].Action == "events:PutEvents")
    error_message = aws_cloudwatch_event_bus_policy.forwarded[0].policy
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.forwarded[0].event_pattern) == { account = ["444455556666"] }
    error_message = aws_cloudwatch_event_rule.forwarded[0].event_pattern
  }
  assert {
    condition = contains(
      jsondecode(aws_sqs_queue_policy.this["main"].policy).Statement[1].Condition.ArnEquals["aws:SourceArn"],
      aws_cloudwatch_event_rule.forwarded[0].arn,
    )
    error_message = aws_sqs_queue_policy.this["main"].policy
  }
}

run "what_may_start_a_deployment_is_archived_on_each_bus" {
  command = apply

  variables {
    archive_days     = 30
    request_bus_name = "ci"
    environments     = ["prod"]
    source_accounts  = ["444455556666"]
  }

  assert {
    condition = { for bus, archive in aws_cloudwatch_event_archive.this : bus => toset(jsondecode(archive.event_pattern).source) if bus != "lockkeeper" } == {
      ci      = toset(["action.deploy", "action.production", "github.actions", "github.actions.prod"])
      default = toset(["aws.ecr", "aws.secretsmanager", "aws.ssm"])
    }
    error_message = jsonencode({ for bus, archive in aws_cloudwatch_event_archive.this : bus => archive.event_pattern })
  }
  assert {
    condition     = aws_cloudwatch_event_archive.this["ci"].event_source_arn == "arn:aws:events:eu-west-1:111122223333:event-bus/ci"
    error_message = "another bus is archived"
  }
  assert {
    condition = (aws_cloudwatch_event_archive.this["lockkeeper"].event_source_arn == aws_cloudwatch_event_bus.forwarded[0].arn
      && jsondecode(aws_cloudwatch_event_archive.this["lockkeeper"].event_pattern) == {
        account = ["444455556666"], source = [{ "anything-but" = ["aws.ecs"] }]
    })
    error_message = "what other accounts forward is not kept"
  }
  assert {
    condition     = length(distinct([for archive in aws_cloudwatch_event_archive.this : archive.name])) == 3
    error_message = "two archives have one name"
  }
}

run "a_trail_tells_of_secrets_and_of_the_buckets_named" {
  command = plan

  variables {
    create_trail = true
    triggers     = { files_cloudtrail = true }
    files        = [{ bucket = "shop-env" }]
  }

  assert {
    condition     = [for s in aws_cloudtrail.this[0].advanced_event_selector : s.name] == ["Changes", "Files"]
    error_message = "the trail misses something"
  }
  assert {
    condition     = one([for f in aws_cloudtrail.this[0].advanced_event_selector[1].field_selector : f.starts_with if f.field == "resources.ARN"]) == tolist(["arn:aws:s3:::shop-env/"])
    error_message = "other buckets are told of"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.trail[0].block_public_policy, aws_s3_bucket_public_access_block.trail[0].restrict_public_buckets,
    ])
    error_message = "the trail's bucket can be made public"
  }
}

run "a_bucket_is_told_to_tell_only_where_that_was_asked_for" {
  command = plan

  variables {
    files = [{ bucket = "shop-env", switch_on_events = true }, { bucket = "other-env" }]
  }

  assert {
    condition     = keys(aws_s3_bucket_notification.files) == ["shop-env"] && aws_s3_bucket_notification.files["shop-env"].eventbridge
    error_message = "another bucket's notifications would be replaced"
  }
}

run "the_queues_addresses_are_not_settings_of_the_user" {
  command = plan

  variables {
    environment = { LOCKKEEPER__QUEUE__DEAD_LETTER_URL = "https://example.com/other" }
  }

  expect_failures = [var.environment]
}

run "a_schedule_begins_a_pass_of_reconcile" {
  command = apply

  variables {
    name               = "shop"
    reconcile_schedule = "rate(1 day)"
  }

  assert {
    condition = (aws_cloudwatch_event_rule.reconcile[0].name == "shop-reconcile"
      && aws_cloudwatch_event_rule.reconcile[0].schedule_expression == "rate(1 day)"
    && aws_cloudwatch_event_target.reconcile[0].arn == aws_sqs_queue.main[0].arn)
    error_message = "no pass begins"
  }
  assert {
    condition = { for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.name => e.value
    }["LOCKKEEPER__RECONCILE__RULE"] == "shop-reconcile"
    error_message = aws_ecs_task_definition.this.container_definitions
  }
}

run "a_schedule_is_a_rate_or_a_cron" {
  command = plan

  variables {
    reconcile_schedule = "daily"
  }

  expect_failures = [var.reconcile_schedule]
}
