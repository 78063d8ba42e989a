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

run "each_alarm_looks_at_a_metric_that_is_made" {
  command = apply

  assert {
    condition = length(setsubtract(
      [for a in aws_cloudwatch_metric_alarm.this : a.metric_name if a.namespace == "Lockkeeper"],
      [for f in aws_cloudwatch_log_metric_filter.this : f.metric_transformation[0].name],
    )) == 0
    error_message = "an alarm looks at a metric that no filter makes"
  }
  assert {
    condition = output.alarm_names == tolist([
      "lockkeeper-dead-letters", "lockkeeper-defects", "lockkeeper-failure-rate", "lockkeeper-inactive", "lockkeeper-oldest-message",
      "lockkeeper-rules-1", "lockkeeper-rules-2", "lockkeeper-rules-3", "lockkeeper-undelivered", "lockkeeper-unhealthy",
    ])
    error_message = join(", ", output.alarm_names)
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
}

run "of_a_rule_on_another_bus_the_bus_is_named" {
  command = apply

  variables {
    request_bus_name = "ci"
    source_accounts  = ["444455556666"]
  }

  assert {
    condition = toset(flatten([for a in aws_cloudwatch_metric_alarm.rules : [
      for q in a.metric_query : [for m in q.metric : lookup(m.dimensions, "EventBusName", "default")]
    ]])) == toset(["ci", "default", "lockkeeper"])
    error_message = "a bus is not watched"
  }
}

run "an_update_of_lockkeeper_is_no_alarm" {
  command = plan

  assert {
    condition = (aws_cloudwatch_metric_alarm.inactive[0].evaluation_periods == 10
      && aws_cloudwatch_metric_alarm.inactive[0].datapoints_to_alarm == 10
    && aws_cloudwatch_metric_alarm.inactive[0].treat_missing_data == "breaching")
    error_message = "an update would ring, or silence would not"
  }
}

run "a_part_that_stays_unhealthy_rings_and_one_that_flaps_does_not" {
  command = plan

  assert {
    condition = [for a in [aws_cloudwatch_metric_alarm.this["unhealthy"]] : [
      a.period, a.evaluation_periods, a.threshold, a.treat_missing_data
    ]] == [[300, 3, 0, "notBreaching"]]
    error_message = "the log repeats itself every four minutes: a line in each of three times five is a part that stays so"
  }
}

run "alarms_reach_the_people_named" {
  command = apply

  variables {
    alarm_emails     = ["ops@example.com"]
    alarm_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:pager"]
  }

  assert {
    condition     = [for s in aws_sns_topic_subscription.alarms : "${s.protocol} ${s.endpoint}"] == ["email ops@example.com"]
    error_message = "nobody is written to"
  }
  assert {
    condition = alltrue([for actions in concat(
      [for a in aws_cloudwatch_metric_alarm.this : a.alarm_actions], [for a in aws_cloudwatch_metric_alarm.rules : a.alarm_actions],
      aws_cloudwatch_metric_alarm.inactive[*].alarm_actions, aws_cloudwatch_metric_alarm.failure_rate[*].alarm_actions,
    ) : actions == toset(["arn:aws:sns:eu-west-1:111122223333:pager", aws_sns_topic.alarms[0].arn])])
    error_message = "an alarm tells nobody"
  }
}

run "without_alarms_there_are_none" {
  command = plan

  variables {
    alarms       = false
    alarm_emails = ["ops@example.com"]
  }

  assert {
    condition     = length(output.alarm_names) == 0 && length(aws_sns_topic.alarms) == 0
    error_message = join(", ", output.alarm_names)
  }
}

run "the_dashboard_shows_metrics_that_are_made" {
  command = apply

  assert {
    condition = length(setsubtract(
      flatten([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [
        for m in try(w.properties.metrics, []) : m[1] if try(m[0], "") == "Lockkeeper"
      ]]),
      [for f in aws_cloudwatch_log_metric_filter.this : f.metric_transformation[0].name],
    )) == 0
    error_message = aws_cloudwatch_dashboard.this[0].dashboard_body
  }
  assert {
    condition = alltrue([for name in ["MatchedEvents", "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"] : sum([
      for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : length([for m in try(w.properties.metrics, []) : 1 if try(m[1], "") == name])
    ]) == length(aws_cloudwatch_event_rule.this)])
    error_message = "of a rule is not shown what it matched, or what became of it"
  }
  assert {
    condition     = length([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : w if w.x + w.width > 24]) == 0
    error_message = "a widget stands out of the page"
  }
}

run "metrics_with_dimensions_have_no_default" {
  command = plan

  assert {
    condition = alltrue([for f in aws_cloudwatch_log_metric_filter.this :
    (f.metric_transformation[0].default_value == null) == (length(coalesce(f.metric_transformation[0].dimensions, {})) > 0)])
    error_message = "CloudWatch would refuse a filter"
  }
}

run "every_saved_query_reads_our_log" {
  command = apply

  assert {
    condition     = length(aws_cloudwatch_query_definition.this) >= 8 && alltrue([for q in aws_cloudwatch_query_definition.this : q.log_group_names == tolist(["/lockkeeper/lockkeeper"])])
    error_message = "a query reads nothing"
  }
}

run "an_amazon_namespace_is_refused" {
  command = plan

  variables {
    metric_namespace = "AWS/ECS"
  }

  expect_failures = [var.metric_namespace]
}

run "an_alarm_that_an_update_would_ring_is_refused" {
  command = plan

  variables {
    inactive_minutes = 2
  }

  expect_failures = [var.inactive_minutes]
}

run "days_that_cloudwatch_does_not_know_are_refused" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}
