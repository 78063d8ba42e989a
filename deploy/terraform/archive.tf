# What reached a bus of ours can be put on it again. Events that EventBridge replays keep their time, so that an old push
# never replaces a newer one.

locals {
  # AWS's own events that are triggers, and the requests. ECS's tell what happened, and ask nothing.
  archived_on = {
    for bus in distinct(values(local.rules)[*].bus) : bus => distinct(flatten([
      for rule in values(local.rules) : rule.sources if rule.bus == bus && !contains(rule.sources, jsonencode("aws.ecs"))
    ]))
  }
  bus_arn = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus"

  archives = var.archive_days == null ? {} : merge(
    { for bus, sources in local.archived_on : bus => {
      name    = "${var.name}-${replace(bus, "/", "-")}"
      bus_arn = "${local.bus_arn}/${bus}"
      pattern = jsonencode({ source = [for s in sources : jsondecode(s)] })
    } if length(sources) > 0 },
    # What is sent there the rules of others decide.
    { for bus in aws_cloudwatch_event_bus.forwarded : bus.name => {
      name    = "${var.name}-forwarded"
      bus_arn = bus.arn
      pattern = jsonencode({ account = var.source_accounts, source = [{ "anything-but" = ["aws.ecs"] }] })
    } },
  )
}

resource "aws_cloudwatch_event_archive" "this" {
  for_each = local.archives

  name             = each.value.name
  description      = "What may start a deployment"
  event_source_arn = each.value.bus_arn
  retention_days   = var.archive_days
  event_pattern    = each.value.pattern

  lifecycle {
    precondition {
      condition     = length(each.value.name) <= 48
      error_message = "An archive's name has 48 characters at most: ${each.value.name} has ${length(each.value.name)}. Shorten `name`, or the bus's."
    }
  }
}
