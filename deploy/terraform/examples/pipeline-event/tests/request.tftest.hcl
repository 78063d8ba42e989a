mock_provider "aws" {
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/lockkeeper-pipeline" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/lockkeeper-pipeline" }
  }
}

variables {
  queue_arn             = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper"
  undelivered_queue_arn = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-undelivered"
}

run "the_template_is_a_deploy_request_that_uses_every_path" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.request.input_transformer[0].input_template).source == "action.deploy"
    error_message = "it is no deploy request"
  }
  assert {
    condition = alltrue([
      for name in keys(aws_cloudwatch_event_target.request.input_transformer[0].input_paths) :
      strcontains(aws_cloudwatch_event_target.request.input_transformer[0].input_template, "<${name}>")
    ])
    error_message = "a path is read for nothing"
  }
  assert {
    condition = toset([
      for it in regexall("<([^>]*)>", aws_cloudwatch_event_target.request.input_transformer[0].input_template) : it[0]
    ]) == toset(keys(aws_cloudwatch_event_target.request.input_transformer[0].input_paths))
    error_message = "a placeholder has no path, and would be delivered as it stands"
  }
}

run "the_rule_may_send_to_the_queue_and_drops_nothing" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role_policy.send.policy).Statement[0].Resource == var.queue_arn
    error_message = "the role may not send to the queue"
  }
  assert {
    condition     = aws_cloudwatch_event_target.request.role_arn == aws_iam_role.send.arn
    error_message = "the target does not use the role"
  }
  assert {
    condition     = aws_cloudwatch_event_target.request.dead_letter_config[0].arn == var.undelivered_queue_arn
    error_message = "what cannot be delivered is dropped"
  }
}

run "without_a_queue_for_it_what_cannot_be_delivered_is_dropped" {
  command = plan

  variables {
    undelivered_queue_arn = null
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.request.dead_letter_config) == 0
    error_message = "there is a queue for it"
  }
}
