locals {
  fourteen_days_seconds = 14 * 24 * 3600

  own_queues = var.existing_queue == null ? 1 : 0
  queue = {
    arn = try(var.existing_queue.arn, aws_sqs_queue.main[0].arn)
    url = try(var.existing_queue.url, aws_sqs_queue.main[0].id)
  }
  dead_letters = {
    arn = try(var.existing_queue.dead_letter_arn, aws_sqs_queue.dead_letters[0].arn)
    url = try(var.existing_queue.dead_letter_url, aws_sqs_queue.dead_letters[0].id)
  }
  queue_names = {
    main         = element(split(":", local.queue.arn), 5)
    dead_letters = element(split(":", local.dead_letters.arn), 5)
    undelivered  = aws_sqs_queue.undelivered.name
  }
}

# Standard, not FIFO: a held message would shut out its whole group, and order comes from the events' own times.
resource "aws_sqs_queue" "main" {
  count = local.own_queues

  name                      = var.name
  message_retention_seconds = local.fourteen_days_seconds
  receive_wait_time_seconds = 20
  # EventBridge cannot send to a queue under the AWS-managed KMS key; SQS's own encryption it can.
  sqs_managed_sse_enabled = true

  # Lockkeeper sets aside by itself what failed, with the reason. This is the net below it, and it is wide because each
  # restart of the daemon counts as a receive of everything that it holds.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn
    maxReceiveCount     = 100
  })

  tags = var.tags
}

# What was set aside: failed, malformed or refused, to be replayed.
resource "aws_sqs_queue" "dead_letters" {
  count = local.own_queues

  name                      = "${var.name}-dead"
  message_retention_seconds = local.fourteen_days_seconds
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  count = local.own_queues

  queue_url = aws_sqs_queue.dead_letters[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.main[0].arn]
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
  queues = merge(
    { undelivered = { arn = aws_sqs_queue.undelivered.arn, url = aws_sqs_queue.undelivered.id, from_rules = true } },
    { for q in aws_sqs_queue.main : "main" => { arn = q.arn, url = q.id, from_rules = true } },
    { for q in aws_sqs_queue.dead_letters : "dead_letters" => { arn = q.arn, url = q.id, from_rules = false } },
  )
  rule_arns = sort(concat(
    [for rule in aws_cloudwatch_event_rule.this : rule.arn], aws_cloudwatch_event_rule.forwarded[*].arn,
    aws_cloudwatch_event_rule.reconcile[*].arn,
  ))
}

resource "aws_sqs_queue_policy" "this" {
  for_each = toset(concat(["undelivered"], local.own_queues == 1 ? ["main", "dead_letters"] : []))

  queue_url = local.queues[each.key].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.queues[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for arns in [local.rule_arns] : {
        Sid       = "OurRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queues[each.key].arn
        Condition = { ArnEquals = { "aws:SourceArn" = arns } }
      } if local.queues[each.key].from_rules && length(arns) > 0],
    )
  })
}
