module "patterns" {
  source = "./modules/patterns"

  account      = local.account
  region       = local.region
  partition    = local.partition
  clusters     = var.clusters
  repositories = var.repositories
  parameters   = var.parameters
  secret_names = var.secret_names
  files        = var.files
  environments = var.environments
  triggers     = var.triggers
}

locals {
  rules = {
    for name, rule in module.patterns.rules : name => merge(rule, { bus = rule.requests ? var.request_bus_name : "default" })
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name           = "${var.name}-${each.key}"
  description    = each.value.description
  event_bus_name = each.value.bus
  event_pattern  = each.value.pattern
  tags           = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value.pattern) <= 2048
      error_message = "The pattern of ${each.key} is longer than EventBridge's 2,048 characters: say more with `*`."
    }
  }
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule           = aws_cloudwatch_event_rule.this[each.key].name
  event_bus_name = each.value.bus
  target_id      = "queue"
  arn            = local.queue.arn
  role_arn       = one(aws_iam_role.send[*].arn)

  # EventBridge's longest: an event that waits a day is late, one that is dropped is lost.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  # Without its policy the queue refuses, and EventBridge does not try a refused delivery again.
  depends_on = [aws_sqs_queue_policy.this, aws_iam_role_policy.send]
}

# Its name is one that `reconcile.rule` takes by default where the installation's begins with `lockkeeper`.
resource "aws_cloudwatch_event_rule" "reconcile" {
  count = var.reconcile_schedule == null ? 0 : 1

  name                = "${var.name}-reconcile"
  description         = "A pass of reconcile begins"
  schedule_expression = var.reconcile_schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "reconcile" {
  count = var.reconcile_schedule == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.reconcile[0].name
  target_id = "queue"
  arn       = local.queue.arn
  role_arn  = one(aws_iam_role.send[*].arn)

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_sqs_queue_policy.this, aws_iam_role_policy.send]
}

# A queue that was there before has a policy that is somebody else's: the rules send by a role instead.
resource "aws_iam_role" "send" {
  count = var.existing_queue == null ? 0 : 1

  name        = "${var.name}-send"
  description = "By which the rules put events on the queue"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arns } }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "send" {
  count = var.existing_queue == null ? 0 : 1

  name = "send"
  role = aws_iam_role.send[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in [
      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [local.queue.arn] },
      local.use_queue_keys,
    ] : s if length(s.Resource) > 0]
  })
}
