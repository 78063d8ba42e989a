# docs/runbook.md says of each alarm what it means and what to do.

locals {
  alarm_topic   = var.alarms && length(var.alarm_emails) > 0 ? 1 : 0
  alarm_actions = concat(var.alarm_topic_arns, aws_sns_topic.alarms[*].arn)

  # One metric each, over a threshold for a while.
  metric_alarms = {
    dead-letters = {
      description = "Something failed, was set aside, and waits for a person"
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = local.queue_names.dead_letters }
      statistic   = "Maximum"
      threshold   = 0
      minutes     = 1
      periods     = 1
    }
    undelivered = {
      description = "EventBridge could not deliver events to the queue: Lockkeeper has not seen them"
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = local.queue_names.undelivered }
      statistic   = "Maximum"
      threshold   = 0
      minutes     = 1
      periods     = 1
    }
    oldest-message = {
      description = "A message has been in the queue for long: its service is busy, or nobody receives"
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = local.queue_names.main }
      statistic   = "Maximum"
      threshold   = var.oldest_message_minutes * 60
      minutes     = 5
      periods     = 1
    }
    unhealthy = {
      # The log says it every four minutes: once in each of these, or the part is well again.
      description = "A part of Lockkeeper is not healthy for a quarter of an hour"
      namespace   = var.metric_namespace
      metric      = local.metric_filters["unhealthy"].metric
      dimensions  = {}
      statistic   = "Sum"
      threshold   = 0
      minutes     = 5
      periods     = 3
    }
    defects = {
      description = "A defect of Lockkeeper: a promise was broken, or a part of it died"
      namespace   = var.metric_namespace
      metric      = local.metric_filters["defects"].metric
      dimensions  = {}
      statistic   = "Sum"
      threshold   = 0
      minutes     = 1
      periods     = 1
    }
  }

  # Of a rule on another bus than `default`, the bus is a dimension, too.
  rule_dimensions = concat(
    [for rule in aws_cloudwatch_event_rule.this : merge(
      { RuleName = rule.name }, { for bus in [rule.event_bus_name] : "EventBusName" => bus if bus != "default" }
    )],
    [for rule in aws_cloudwatch_event_rule.reconcile : { RuleName = rule.name }],
    [for rule in aws_cloudwatch_event_rule.forwarded : { RuleName = rule.name, EventBusName = rule.event_bus_name }],
  )
  # Of rules whose targets have a dead-letter queue, the first stays silent about what lies there: what is lost without a
  # trace is what could not be put there either.
  rule_failures = ["FailedInvocations", "InvocationsFailedToBeSentToDlq"]
  # An alarm looks at ten metrics at most.
  rule_groups = { for number, group in chunklist(setproduct(local.rule_failures, local.rule_dimensions), 10) : tostring(number + 1) => group }
}

resource "aws_sns_topic" "alarms" {
  count = local.alarm_topic

  name = "${var.name}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  count = local.alarm_topic

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OurAlarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*" }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = local.alarm_topic == 1 ? toset(var.alarm_emails) : toset([])

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms ? local.metric_alarms : {}

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.minutes * 60
  evaluation_periods  = each.value.periods
  # SQS falls silent about a queue that nobody uses, and the log about what does not happen.
  treat_missing_data = "notBreaching"
  alarm_actions      = local.alarm_actions
  ok_actions         = local.alarm_actions
  tags               = var.tags
}

# Whoever acts asks SQS for messages all the time; on standby nobody does. So this sees a process that hangs as well as
# one that is gone. After six hours without a call SQS says nothing at all, which is the same.
resource "aws_cloudwatch_metric_alarm" "inactive" {
  count = var.alarms && var.running ? 1 : 0

  alarm_name          = "${var.name}-inactive"
  alarm_description   = "Nobody receives: nothing is deployed, and the queue gathers"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = var.inactive_minutes
  datapoints_to_alarm = var.inactive_minutes
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags

  metric_query {
    id          = "receives"
    expression  = "FILL(empty, 0) + FILL(received, 0)"
    label       = "Receives"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { empty = "NumberOfEmptyReceives", received = "NumberOfMessagesReceived" }

    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = local.queue_names.main }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "failure_rate" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${var.name}-failure-rate"
  alarm_description   = "Many deployments fail: something that they have in common is wrong"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failure_rate_percent
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags

  metric_query {
    id          = "rate"
    expression  = "IF(failed + succeeded >= 5, 100 * failed / (failed + succeeded), 0)"
    label       = "Failed, in percent"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { for name in ["failed", "succeeded"] : name => local.metric_filters[name].metric }

    content {
      id = metric_query.key
      metric {
        namespace   = var.metric_namespace
        metric_name = metric_query.value
        period      = 3600
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "rules" {
  for_each = var.alarms ? local.rule_groups : {}

  alarm_name          = "${var.name}-rules-${each.key}"
  alarm_description   = "A rule matched, and its event reached neither the queue nor the one of what is undelivered: it is lost"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = "Lost events"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { for number, it in each.value : "m${number}" => { name = it[0], dimensions = it[1] } }

    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/Events"
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = 300
        stat        = "Sum"
      }
    }
  }
}
