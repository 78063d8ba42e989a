variable "name" {
  description = "The role's name."
  type        = string
  default     = "lockkeeper-target"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,63}$", var.name))
    error_message = "The name has 1 to 64 letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  default     = {}
}

variable "task_role_arn" {
  description = "The daemon's role, which may assume this one: the module's output `task_role_arn`."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", var.task_role_arn))
    error_message = "Give the full ARN of a role, without `*`."
  }
}

variable "external_id" {
  description = "`external_id` of `[[aws.accounts]]`: asked for when the role is assumed."
  type        = string
  default     = null

  validation {
    condition     = var.external_id == null || can(regex("^[A-Za-z0-9+=,.@:/_-]{2,255}$", var.external_id))
    error_message = "2 to 255 letters, digits and `+=,.@:/_-`."
  }
}

variable "regions" {
  description = "The Regions in which services are deployed. Empty: the provider's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for r in var.regions : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", r))])
    error_message = "Regions are called like eu-west-1."
  }
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

variable "task_families" {
  description = <<-EOT
    Task-definition families that Lockkeeper may register revisions of, and mark with the version of a request; `*` stands for
    anything. Default: any, and it registers only where `pass_role_arns` names a role. Empty: none, and marks none.
  EOT
  type        = list(string)
  default     = null

  validation {
    condition     = var.task_families == null || alltrue([for f in coalesce(var.task_families, []) : can(regex("^[A-Za-z0-9_*-]{1,255}$", f))])
    error_message = "Families have letters, digits, hyphens, underscores and `*`; no revision."
  }
}

variable "pass_role_arns" {
  description = <<-EOT
    Task and execution roles named by the task definitions that Lockkeeper registers: those of all services that it deploys.
    Needed for `on_push = "pin"`, for every request that names an image, and to go back from a followed tag that has moved on
    to what fails, which registers a revision with the digests that ran. Without any, no revision is registered: ECS refuses
    what would need one, and the service stays as it is. ECS's own circuit breaker goes back all the same.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.pass_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+\\*?$", arn))
    ])
    error_message = "Give full role ARNs; `*` may only end a name that has begun."
  }
}

variable "rollback" {
  description = "Whether `rollback` is on for services of this account, as it is by default: going back needs `pass_role_arns`, and the plan warns where there are none."
  type        = bool
  default     = true
}

variable "discovery" {
  description = "Whether `[discovery]` is set: Lockkeeper may then look which services the clusters have, and read their tags."
  type        = bool
  default     = false
}

variable "reconcile" {
  description = "Whether Lockkeeper may read when images, parameters, secrets and files were last changed, to find events that were lost. `false` with `reconcile.mode = \"off\"`."
  type        = bool
  default     = true
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

variable "buckets" {
  description = "Buckets of environment files."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for b in var.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", b))])
    error_message = "Buckets are given by name, not by ARN: lower-case letters, digits, dots and hyphens, no `*`."
  }
}
