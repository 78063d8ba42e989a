resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.enabled_rules

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
  for_each = local.enabled_rules

  rule           = aws_cloudwatch_event_rule.this[each.key].name
  event_bus_name = each.value.bus
  target_id      = "queue"
  arn            = aws_sqs_queue.main.arn

  # EventBridge's longest: an event that waits a day is late, one that is dropped is lost.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  # Without its policy the queue refuses, and EventBridge does not try a refused delivery again.
  depends_on = [aws_sqs_queue_policy.this]
}
