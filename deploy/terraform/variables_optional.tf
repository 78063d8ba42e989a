# ---------------------------------------------------------------- what is there already

variable "existing_queue" {
  description = <<-EOT
    A queue that is there, with its dead-letter queue, instead of the two that the module makes. Its policy is left as it is:
    the rules send by a role.
  EOT
  type = object({
    url             = string
    arn             = string
    dead_letter_url = string
    dead_letter_arn = string
  })
  default = null

  validation {
    condition     = var.existing_queue == null || !anytrue([for arn in [try(var.existing_queue.arn, ""), try(var.existing_queue.dead_letter_arn, "")] : endswith(arn, ".fifo")])
    error_message = "Lockkeeper reads standard queues: a held message would block its group in a FIFO queue."
  }
  validation {
    condition = var.existing_queue == null || alltrue([
      for arn in [try(var.existing_queue.arn, ""), try(var.existing_queue.dead_letter_arn, "")] : can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:", arn))
    ])
    error_message = "Give the ARNs of both queues."
  }
  validation {
    condition = var.existing_queue == null || alltrue([
      for it in [[try(var.existing_queue.url, ""), try(var.existing_queue.arn, "")], [try(var.existing_queue.dead_letter_url, ""), try(var.existing_queue.dead_letter_arn, "")]] :
      can(regex("^https?://[^/ ]+/", it[0])) && endswith(it[0], "/${join("/", slice(concat(split(":", it[1]), ["", "", "", "", "", ""]), 4, 6))}")
    ])
    error_message = "Each URL is that of its ARN, https://…/<account>/<name>: `url` of `arn`, `dead_letter_url` of `dead_letter_arn`."
  }
  validation {
    condition     = var.existing_queue == null || try(var.existing_queue.arn, "") != try(var.existing_queue.dead_letter_arn, "")
    error_message = "The dead-letter queue is another than the queue."
  }
}

variable "queue_kms_key_arns" {
  description = <<-EOT
    Customer-managed keys of `existing_queue` and of its dead-letter queue: the daemon, and the role by which the rules send, may then
    use them. The keys' own policies have to let this account's IAM decide.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.queue_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Give full ARNs of keys, arn:aws:kms:…:key/…: no aliases, no `*`."
  }
}

# ---------------------------------------------------------------- who reaches it

variable "alb" {
  description = <<-EOT
    A listener of a load balancer behind which the dashboard and the API appear, and the load balancer's security group.
    Without it nothing is missing but the page: the container checks itself.
  EOT
  type = object({
    listener_arn      = string
    security_group_id = string
    priority          = optional(number)
    host_names        = optional(list(string), [])
    paths             = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.alb == null || length(try(var.alb.host_names, [])) + length(try(var.alb.paths, [])) > 0
    error_message = "A listener rule needs a host name or a path."
  }
  validation {
    condition     = var.alb == null || can(regex("^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/.+$", var.alb.listener_arn))
    error_message = "Give the full ARN of a listener of an application load balancer: …:listener/app/…"
  }
  validation {
    condition     = var.alb == null || can(regex("^sg-[0-9a-z]+$", var.alb.security_group_id))
    error_message = "Give the id of the load balancer's security group: sg-…"
  }
  validation {
    condition     = var.alb == null || try(var.alb.priority, null) == null || try(var.alb.priority >= 1 && var.alb.priority <= 50000 && floor(var.alb.priority) == var.alb.priority, false)
    error_message = "A priority is a whole number from 1 to 50000."
  }
}

variable "dns_namespace" {
  description = "A private DNS namespace that the module makes in the VPC, so that Prometheus finds the task as `<name>.<namespace>`."
  type        = string
  default     = null

  validation {
    condition     = var.dns_namespace == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)*$", var.dns_namespace))
    error_message = "A namespace is a domain name, such as `internal`."
  }
}

variable "dns_namespace_id" {
  description = "A private DNS namespace of Cloud Map that is there, for the same. With one that is made in the same run, set `dns_service`."
  type        = string
  default     = null

  validation {
    condition     = var.dns_namespace_id == null || can(regex("^ns-[a-z0-9]+$", var.dns_namespace_id))
    error_message = "Give the id of the namespace: ns-…"
  }
}

variable "dns_service" {
  description = "Whether the task is found in a namespace. By default where one is named; `true` with the `dns_namespace_id` of one that is made in the same run, of which the plan does not know whether it will be null."
  type        = bool
  default     = null
}

# ---------------------------------------------------------------- what it tells

variable "notify_bus_arns" {
  description = "Event buses on which Lockkeeper puts events of its own: `notify.eventbridge`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.notify_bus_arns : can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/[^*]+$", arn))])
    error_message = "Give full ARNs of event buses, without `*`."
  }
}

variable "notify_topic_arns" {
  description = "SNS topics to which Lockkeeper publishes: `notify.sns`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.notify_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[^*]+$", arn))])
    error_message = "Give full ARNs of topics, without `*`."
  }
}

variable "notify_kms_key_arns" {
  description = "Customer-managed keys of those topics."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.notify_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Give full ARNs of keys, arn:aws:kms:…:key/…: no aliases, no `*`."
  }
}

variable "egress_ports" {
  description = "More ports by which Lockkeeper may get out, beside 443 and that of `otlp_endpoint`: 8443 for a webhook at `https://hooks.internal:8443/`, 80 for one at `http://…`."
  type        = list(number)
  default     = []

  validation {
    condition     = alltrue([for port in var.egress_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "A port is a whole number from 1 to 65535."
  }
}

# ---------------------------------------------------------------- how it is watched

variable "alarms" {
  description = "Whether alarms are made. Without `alarm_topic_arns` and `alarm_emails` they tell nobody."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms are sent to."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[^*]+$", arn))])
    error_message = "Give full ARNs of topics, without `*`."
  }
}

variable "alarm_emails" {
  description = "Addresses that alarms are sent to, by a topic that the module makes. Each has to confirm once."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", a))])
    error_message = "That is no e-mail address."
  }
}

variable "metric_namespace" {
  description = "Namespace of the metrics made from the log. Another one for a second installation in the same account and Region."
  type        = string
  default     = "Lockkeeper"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/#-]{0,254}$", var.metric_namespace)) && !startswith(var.metric_namespace, "AWS/")
    error_message = "Letters, digits and `._/#-`, and not `AWS/…`."
  }
}

variable "oldest_message_minutes" {
  description = "How old the oldest message may become before there is an alarm: longer than the longest rollout."
  type        = number
  default     = 60

  validation {
    condition     = var.oldest_message_minutes >= 5
    error_message = "5 at least."
  }
}

variable "inactive_minutes" {
  description = <<-EOT
    For how long nothing may be received before there is an alarm. An update of Lockkeeper stops the old task before the new
    one starts, which takes some three minutes; with discovery the new one first reads every service.
  EOT
  type        = number
  default     = 10

  validation {
    condition     = var.inactive_minutes >= 5 && var.inactive_minutes <= 60 && floor(var.inactive_minutes) == var.inactive_minutes
    error_message = "5 to 60: an update alone takes some minutes."
  }
}

variable "failure_rate_percent" {
  description = "How many of the deployments of an hour may fail, of five or more, before there is an alarm."
  type        = number
  default     = 50

  validation {
    condition     = var.failure_rate_percent > 0 && var.failure_rate_percent <= 100
    error_message = "1 to 100."
  }
}

variable "dashboard" {
  description = "Whether a CloudWatch dashboard is made."
  type        = bool
  default     = true
}

variable "saved_queries" {
  description = "Whether queries for Logs Insights are saved."
  type        = bool
  default     = true
}

# ---------------------------------------------------------------- what is kept, and what tells

variable "archive_days" {
  description = "How long events that may start a deployment are kept by EventBridge, to be put on the bus again. `null`: not at all; 0: for ever."
  type        = number
  default     = null

  validation {
    condition     = var.archive_days == null || try(var.archive_days >= 0 && floor(var.archive_days) == var.archive_days, false)
    error_message = "0 or more whole days, or null."
  }
}

variable "reconcile_schedule" {
  description = "When Lockkeeper compares what targets run with what they should have seen, beside every `reconcile.every`: `rate(1 day)`, `cron(0 4 * * ? *)`. `null`: no rule."
  type        = string
  default     = null

  validation {
    condition     = var.reconcile_schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.reconcile_schedule))
    error_message = "A schedule is rate(…) or cron(…)."
  }
}

variable "create_trail" {
  description = "Whether the module makes a trail: `secrets_cloudtrail` and `files_cloudtrail` need one, and most accounts have it."
  type        = bool
  default     = false
}

variable "trail_days" {
  description = "How long the trail's files are kept. EventBridge needs them for no time at all."
  type        = number
  default     = 7

  validation {
    condition     = var.trail_days >= 1 && floor(var.trail_days) == var.trail_days
    error_message = "Whole days, 1 at least."
  }
}

variable "otlp_endpoint" {
  description = "Where a collector of OpenTelemetry takes OTLP over HTTP, as `http://collector.internal:4318`: a trace of each deployment is sent there. Keys belong in `secrets`, as `OTEL_EXPORTER_OTLP_HEADERS`. `null`: no traces."
  type        = string
  default     = null

  validation {
    condition     = var.otlp_endpoint == null || can(regex("^https?://[^/:@?#]+(:[0-9]+)?(/[^@?#]*)?$", var.otlp_endpoint))
    error_message = "A URL that begins with http:// or https://, with a host, a port where it needs one, and a path at most."
  }
}

variable "otlp_port" {
  description = "The port of `otlp_endpoint`. By default it is read there; needed where the collector is made in the same run, because the plan has to know which way out it opens."
  type        = number
  default     = null

  validation {
    condition     = var.otlp_port == null || try(var.otlp_port >= 1 && var.otlp_port <= 65535 && floor(var.otlp_port) == var.otlp_port, false)
    error_message = "A port is a whole number from 1 to 65535."
  }
}
