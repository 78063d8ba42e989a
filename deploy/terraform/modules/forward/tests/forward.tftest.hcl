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
