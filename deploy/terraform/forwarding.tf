# Events of other accounts and Regions arrive on a bus of their own. The rules there (modules/forward) decide what is sent;
# here it is only looked who sent it.

locals {
  forwarding = length(var.source_accounts) > 0 ? 1 : 0
}

resource "aws_cloudwatch_event_bus" "forwarded" {
  count = local.forwarding

  name = var.name
  tags = var.tags
}

resource "aws_cloudwatch_event_bus_policy" "forwarded" {
  count = local.forwarding

  event_bus_name = aws_cloudwatch_event_bus.forwarded[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTheseAccounts"
      Effect    = "Allow"
      Principal = { AWS = [for a in var.source_accounts : "arn:${local.partition}:iam::${a}:root"] }
      Action    = "events:PutEvents"
      Resource  = aws_cloudwatch_event_bus.forwarded[0].arn
    }]
  })
}

resource "aws_cloudwatch_event_rule" "forwarded" {
  count = local.forwarding

  name           = "${var.name}-forwarded"
  description    = "What another account or Region sends"
  event_bus_name = aws_cloudwatch_event_bus.forwarded[0].name
  event_pattern  = jsonencode({ account = var.source_accounts })
  tags           = var.tags
}

resource "aws_cloudwatch_event_target" "forwarded" {
  count = local.forwarding

  rule           = aws_cloudwatch_event_rule.forwarded[0].name
  event_bus_name = aws_cloudwatch_event_bus.forwarded[0].name
  target_id      = "queue"
  arn            = local.queue.arn
  role_arn       = one(aws_iam_role.send[*].arn)

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_sqs_queue_policy.this, aws_iam_role_policy.send]
}
