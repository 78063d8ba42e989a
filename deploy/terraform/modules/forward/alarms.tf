# Lockkeeper sees nothing of what is lost here, so this account tells it itself.

locals {
  # Of rules whose targets have a dead-letter queue, the first stays silent about what lies there: what is lost without a
  # trace is what could not be put there either.
  rule_failures = ["FailedInvocations", "InvocationsFailedToBeSentToDlq"]
  # An alarm looks at ten metrics at most.
  rule_groups = {
    for number, group in chunklist(setproduct(local.rule_failures, [for rule in aws_cloudwatch_event_rule.this : rule.name]), 10) :
    tostring(number + 1) => group
  }
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${var.name}-undelivered"
  alarm_description   = "EventBridge could not forward events to Lockkeeper's bus: Lockkeeper has not seen them"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 1
  # SQS falls silent about a queue that nobody uses.
  treat_missing_data = "notBreaching"
  alarm_actions      = var.alarm_topic_arns
  ok_actions         = var.alarm_topic_arns
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "rules" {
  for_each = var.alarms ? local.rule_groups : {}

  alarm_name          = "${var.name}-rules-${each.key}"
  alarm_description   = "A rule matched, and its event reached neither Lockkeeper's bus nor the queue of what is undelivered: it is lost"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = "Lost events"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { for number, it in each.value : "m${number}" => { metric = it[0], rule = it[1] } }

    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/Events"
        metric_name = metric_query.value.metric
        dimensions  = { RuleName = metric_query.value.rule }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

output "alarm_names" {
  description = "All alarms."
  value = sort(concat(
    aws_cloudwatch_metric_alarm.undelivered[*].alarm_name, [for a in aws_cloudwatch_metric_alarm.rules : a.alarm_name],
  ))
}
