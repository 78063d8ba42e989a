# What the log says, as metrics and as saved queries. Both stand in files of their own: tests run them over the lines that
# the daemon really writes.

locals {
  metric_filters = { for it in jsondecode(file("${path.module}/metric-filters.json")) : it.name => it }
  queries        = { for it in jsondecode(file("${path.module}/saved-queries.json")) : it.name => it.query }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.metric_filters

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = each.value.pattern

  metric_transformation {
    namespace  = var.metric_namespace
    name       = each.value.metric
    value      = "1"
    unit       = "Count"
    dimensions = length(each.value.dimensions) > 0 ? each.value.dimensions : null
    # With dimensions CloudWatch takes no default.
    default_value = length(each.value.dimensions) > 0 ? null : "0"
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = var.saved_queries ? local.queries : {}

  name            = "${var.name}/${each.key}"
  log_group_names = [aws_cloudwatch_log_group.this.name]
  query_string    = each.value
}
