mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  bus_arn      = "arn:aws:events:eu-west-1:111122223333:event-bus/lockkeeper"
  clusters     = ["shop-prod"]
  repositories = ["shop_*"]
}

run "what_aws_tells_is_forwarded_and_requests_are_not" {
  command = plan

  variables {
    files    = [{ bucket = "shop-env" }]
    triggers = { image_scans = true, files_cloudtrail = true }
  }

  assert {
    condition = toset(keys(aws_cloudwatch_event_rule.this)) == toset([
      "files", "files-cloudtrail", "hooks", "image-pushes", "image-replications", "image-scans-basic", "image-scans-enhanced",
      "parameters", "rollouts", "secrets", "secrets-cloudtrail", "service-actions", "stopped-tasks",
    ])
    error_message = join(", ", keys(aws_cloudwatch_event_rule.this))
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["image-pushes"].event_pattern).detail["repository-name"] == [{ prefix = "shop_" }]
    error_message = aws_cloudwatch_event_rule.this["image-pushes"].event_pattern
  }
}

run "the_rules_may_put_events_on_that_bus_alone" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role_policy.forward.policy).Statement == [{ Effect = "Allow", Action = ["events:PutEvents"], Resource = [var.bus_arn] }]
    error_message = aws_iam_role_policy.forward.policy
  }
  assert {
    condition = alltrue([for t in aws_cloudwatch_event_target.this :
      t.arn == var.bus_arn && t.role_arn == aws_iam_role.forward.arn && t.dead_letter_config[0].arn == aws_sqs_queue.undelivered.arn
    ])
    error_message = "a target does not reach the bus, or loses what it cannot deliver"
  }
}

run "a_bus_is_named_by_its_arn" {
  command = plan

  variables {
    bus_arn = "lockkeeper"
  }

  expect_failures = [var.bus_arn]
}

run "what_is_not_forwarded_rings" {
  command = apply

  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-west-1:444455556666:pager"]
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.undelivered[0].dimensions == tomap({ QueueName = "lockkeeper-forward-undelivered" })
    error_message = "the alarm looks at another queue"
  }
  assert {
    condition = toset(flatten([for a in aws_cloudwatch_metric_alarm.rules : [
      for q in a.metric_query : [for m in q.metric : "${m.metric_name} ${m.dimensions.RuleName}"]
      ]])) == toset(flatten([for r in aws_cloudwatch_event_rule.this : [
      "FailedInvocations ${r.name}", "InvocationsFailedToBeSentToDlq ${r.name}",
    ]]))
    error_message = "what a rule loses is not watched"
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.rules : length([for q in a.metric_query : q if length(q.metric) > 0]) <= 10])
    error_message = "an alarm has more metrics than CloudWatch takes"
  }
  assert {
    condition = alltrue([for a in concat(values(aws_cloudwatch_metric_alarm.rules), aws_cloudwatch_metric_alarm.undelivered) :
    a.alarm_actions == toset(["arn:aws:sns:eu-west-1:444455556666:pager"])])
    error_message = "an alarm tells nobody"
  }
  assert {
    condition     = output.alarm_names == tolist(["lockkeeper-forward-rules-1", "lockkeeper-forward-rules-2", "lockkeeper-forward-undelivered"])
    error_message = join(", ", output.alarm_names)
  }
}

run "alarms_can_be_left_out" {
  command = plan

  variables {
    alarms = false
  }

  assert {
    condition     = length(output.alarm_names) == 0
    error_message = join(", ", output.alarm_names)
  }
}

run "a_topic_is_named_by_its_arn" {
  command = plan

  variables {
    alarm_topic_arns = ["pager"]
  }

  expect_failures = [var.alarm_topic_arns]
}
