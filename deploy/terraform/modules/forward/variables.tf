variable "bus_arn" {
  description = "The bus that Lockkeeper's module made for this: its output `forward_bus_arn`."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/[^*]+$", var.bus_arn))
    error_message = "Give the full ARN of an event bus."
  }
}

variable "name" {
  description = "Prefix of every resource."
  type        = string
  default     = "lockkeeper-forward"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "The name has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags for every resource that takes some."
  type        = map(string)
  default     = {}
}

variable "clusters" {
  description = "Names of the ECS clusters, in this account and Region, whose services Lockkeeper may deploy."
  type        = list(string)

  validation {
    condition     = length(var.clusters) > 0
    error_message = "Name at least one cluster."
  }
  validation {
    condition     = alltrue([for c in var.clusters : can(regex("^[A-Za-z0-9_-]{1,255}$", c))])
    error_message = "Clusters are given by name (letters, digits, hyphens, underscores), not by ARN."
  }
}

variable "triggers" {
  description = "Which events are forwarded: those of AWS that the module itself knows."
  type = object({
    image_pushes       = optional(bool, true)
    image_replications = optional(bool, true)
    image_removals     = optional(bool, false)
    image_scans        = optional(bool, false)
    parameters         = optional(bool, true)
    secrets            = optional(bool, true)
    secrets_cloudtrail = optional(bool, true)
    files              = optional(bool, true)
    files_cloudtrail   = optional(bool, false)
    rollouts           = optional(bool, true)
    service_actions    = optional(bool, true)
    hooks              = optional(bool, true)
    stopped_tasks      = optional(bool, true)
  })
  default = {}
}

variable "repositories" {
  description = "ECR repositories, without the registry, whose images matter; `*` stands for anything. Empty: no rule."
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = alltrue([for r in var.repositories : can(regex("^[a-z0-9*._/-]+$", r)) && !strcontains(r, "**")])
    error_message = "Repositories have lower-case letters, digits, `._/-` and `*` (not two in a row); no registry, no tag."
  }
}

variable "parameters" {
  description = "SSM parameters that tasks read when they start; `*` stands for anything. Empty: no rule."
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = alltrue([for p in var.parameters : can(regex("^[A-Za-z0-9*._/-]+$", p)) && !strcontains(p, "**")])
    error_message = "Parameters have letters, digits, `._/-` and `*` (not two in a row)."
  }
}

variable "secret_names" {
  description = "Secrets Manager secrets that tasks read when they start, by name; `*` stands for anything. Empty: no rule."
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = alltrue([for s in var.secret_names : can(regex("^[A-Za-z0-9*/_+=.@-]+$", s)) && !strcontains(s, "**")])
    error_message = "Secrets are given by name, not by ARN; `*` is allowed, not two in a row."
  }
}

variable "files" {
  description = "Environment files in S3 that tasks load when they start: buckets, and the keys in them; `*` stands for anything."
  type = list(object({
    bucket = string
    keys   = optional(list(string), ["*"])
  }))
  default = []

  validation {
    condition     = alltrue([for f in var.files : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", f.bucket)) && length(f.keys) > 0])
    error_message = "Each entry has a bucket's name and at least one key."
  }
  validation {
    condition     = alltrue(flatten([for f in var.files : [for k in f.keys : !can(regex("\\*\\*|\\\\", k))]]))
    error_message = "Keys have no backslash, and no two `*` in a row."
  }
}

variable "alarms" {
  description = "Whether alarms are made, for events that could not be forwarded. Without `alarm_topic_arns` they tell nobody."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms are sent to: of this Region, and with a policy that lets its CloudWatch publish."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[^*]+$", arn))])
    error_message = "Give full ARNs of topics, without `*`."
  }
}
