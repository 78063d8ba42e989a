locals {
  fourteen_days_seconds = 14 * 24 * 3600
}

# Standard, not FIFO: a held message would shut out its whole group, and order comes from the events' own times.
resource "aws_sqs_queue" "main" {
  name                      = var.name
  message_retention_seconds = local.fourteen_days_seconds
  receive_wait_time_seconds = 20
  # EventBridge cannot send to a queue under the AWS-managed KMS key; SQS's own encryption it can.
  sqs_managed_sse_enabled = true

  # Lockkeeper sets aside by itself what failed, with the reason. This is the net below it, and it is wide because each
  # restart of the daemon counts as a receive of everything that it holds.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 100
  })

  tags = var.tags
}

# What was set aside: failed, malformed or refused, to be replayed.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead"
  message_retention_seconds = local.fourteen_days_seconds
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.main.arn]
  })
}

# What EventBridge could not deliver. Apart from the dead letters, because Lockkeeper has never seen it.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = local.fourteen_days_seconds
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

locals {
  queues = {
    main         = { arn = aws_sqs_queue.main.arn, url = aws_sqs_queue.main.id, from_rules = true }
    dead_letters = { arn = aws_sqs_queue.dead_letters.arn, url = aws_sqs_queue.dead_letters.id, from_rules = false }
    undelivered  = { arn = aws_sqs_queue.undelivered.arn, url = aws_sqs_queue.undelivered.id, from_rules = true }
  }
  rule_arns = sort([for rule in aws_cloudwatch_event_rule.this : rule.arn])
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = each.value.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for arns in [local.rule_arns] : {
        Sid       = "OurRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = { ArnEquals = { "aws:SourceArn" = arns } }
      } if each.value.from_rules && length(arns) > 0],
    )
  })
}
