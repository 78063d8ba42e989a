# What reached a bus of ours can be put on it again. Events that EventBridge replays keep their time, so that an old push
# never replaces a newer one.

locals {
  # AWS's own events that are triggers, and the requests. ECS's tell what happened, and ask nothing.
  archived_on = {
    for bus in distinct(values(local.rules)[*].bus) : bus => distinct(flatten([
      for rule in values(local.rules) : [for s in jsondecode(rule.pattern).source : jsonencode(s)]
      if rule.bus == bus && !contains(jsondecode(rule.pattern).source, "aws.ecs")
    ]))
  }
  archives = var.archive_days == null ? {} : { for bus, sources in local.archived_on : bus => sources if length(sources) > 0 }
}

resource "aws_cloudwatch_event_archive" "this" {
  for_each = local.archives

  name             = "${var.name}-${replace(each.key, "/", "-")}"
  description      = "What may start a deployment"
  event_source_arn = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${each.key}"
  retention_days   = var.archive_days
  event_pattern    = jsonencode({ source = [for s in each.value : jsondecode(s)] })
}
