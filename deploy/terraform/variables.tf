variable "name" {
  description = "Name of the installation: prefix of every resource. One per queue; several may live in one account."
  type        = string
  default     = "lockkeeper"

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

# ---------------------------------------------------------------- what is deployed

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

variable "account_role_arns" {
  description = "The roles of `[[aws.accounts]]`: in other accounts, assumed to deploy services there."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.account_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "Give full role ARNs, without `*`."
  }
}

variable "regions" {
  description = "More Regions of this account in which services are deployed: `aws.regions`. Their events are forwarded (`source_accounts`)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for r in var.regions : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", r))])
    error_message = "Regions are called like eu-west-1."
  }
}

variable "source_accounts" {
  description = <<-EOT
    Accounts that forward events to a bus that the module makes (`modules/forward` there). This account itself, where
    another Region of it forwards. In the settings, each other account stands in `aws.allowed_accounts` or `[[aws.accounts]]`.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.source_accounts : can(regex("^[0-9]{12}$", a))])
    error_message = "Accounts are given by their twelve digits."
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

# ---------------------------------------------------------------- what triggers a deployment

variable "triggers" {
  description = <<-EOT
    Which events are brought to the queue. `secrets_cloudtrail` needs a trail with management events,
    `files_cloudtrail` one with S3 data events, `files` buckets that send their events to EventBridge. `image_removals` warns of
    images that a target needs; a lifecycle policy may delete many. `decisions` counts only with `approval.events`.
    `requests = false` is `service_deploys` and `deploy_requests` at once. `Deployment Ready` names an image as a push does, and has
    `image_ready`. Commands and the API still ask, until the settings have `[defaults.triggers] requests = false`.
  EOT
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
    image_ready        = optional(bool, true)
    requests           = optional(bool, true)
    service_deploys    = optional(bool, true)
    deploy_requests    = optional(bool, true)
    decisions          = optional(bool, false)
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
  description = <<-EOT
    Environment files in S3 that tasks load when they start: buckets, and the keys in them; `*` stands for anything.
    `switch_on_events` has the module make the bucket tell EventBridge, which replaces its whole configuration of
    notifications: leave it `false` where something else is told, and switch it on there. Where it makes a bucket tell that is
    itself made in the same run, `name` is what the plan calls the entry by, for it does not know the bucket's name yet.
  EOT
  type = list(object({
    bucket           = string
    name             = optional(string)
    keys             = optional(list(string), ["*"])
    switch_on_events = optional(bool, false)
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

variable "environments" {
  description = "Environments whose `github.actions.<environment>` events are taken. Empty: every environment's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for e in var.environments : can(regex("^[A-Za-z0-9._-]{1,100}$", e))])
    error_message = "Environments are named whole, as behind `github.actions.`: letters, digits and `._-`, no `*`. Leave the list empty for every one."
  }
}

variable "request_bus_name" {
  description = "Event bus on which CI systems and people put their requests. AWS's own events always arrive on `default`."
  type        = string
  default     = "default"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,256}$", var.request_bus_name))
    error_message = "Give the bus by name."
  }
}

# ---------------------------------------------------------------- the daemon

variable "image" {
  description = "Lockkeeper's image, with a tag or digest. From ECR, or from a registry that needs no credentials. Default: `image_tag` of the repository that `create_repository` makes."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^[^ ]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "Name the image with a tag or a digest."
  }
}

variable "create_repository" {
  description = "Whether the module makes an ECR repository for Lockkeeper's images: scanned on push, with tags that cannot be moved."
  type        = bool
  default     = false
}

variable "repository_keep" {
  description = "How many images that repository keeps."
  type        = number
  default     = 20

  validation {
    condition     = var.repository_keep >= 2 && floor(var.repository_keep) == var.repository_keep
    error_message = "Keep two at least: the one that runs, and the one to go back to."
  }
}

variable "image_tag" {
  description = "The tag to run from that repository."
  type        = string
  default     = null

  validation {
    condition     = var.image_tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "A tag has letters, digits and `_.-`, 128 at most."
  }
}

variable "running" {
  description = "`false` before the first image was pushed, or to stop: everything is there but the task, and the queue gathers."
  type        = bool
  default     = true
}

variable "cpu_architecture" {
  description = "`X86_64` or `ARM64`: what the image is built for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "Fargate knows X86_64 and ARM64."
  }
}

variable "cpu" {
  description = "CPU units of the task. The smallest size serves hundreds of targets."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "One of 256, 512, 1024, 2048, 4096."
  }
}

variable "memory" {
  description = "Memory of the task in MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.memory >= 512 && floor(var.memory / 512) * 512 == var.memory
    error_message = "A multiple of 512, that fits the CPU units."
  }
}

variable "home_cluster" {
  description = "Name of the cluster in which Lockkeeper itself runs. Default: the first of `clusters`."
  type        = string
  default     = null

  validation {
    condition     = var.home_cluster == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.home_cluster))
    error_message = "The cluster is given by name (letters, digits, hyphens, underscores), not by ARN."
  }
}

variable "create_cluster" {
  description = "Whether the module makes a cluster for Lockkeeper itself."
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "VPC of the daemon's security group."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "Give the id of the VPC: vpc-…"
  }
}

variable "subnet_ids" {
  description = "Subnets of the daemon: private ones with a NAT gateway or endpoints (sqs, ecs, sts, logs, and ecr.api, ecr.dkr, s3 for the image)."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Give at least one subnet."
  }
  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))])
    error_message = "Give ids of subnets: subnet-…"
  }
}

variable "standby" {
  description = "Two tasks, of which one acts and the other is ready to take over. They agree by a DynamoDB table."
  type        = bool
  default     = false
}

variable "assign_public_ip" {
  description = "Needed in a public subnet, which has no other way out. Nothing is opened by it."
  type        = bool
  default     = false
}

variable "http_source_security_group_ids" {
  description = "Security groups that may reach port 8080: of a load balancer, of Prometheus. Empty: nobody."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.http_source_security_group_ids : can(regex("^sg-[0-9a-z]+$", id))])
    error_message = "Give ids of security groups: sg-…"
  }
}

variable "environment" {
  description = "More environment variables: `LOCKKEEPER__SECTION__KEY`, or those of the Lambda function that this replaces."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", k))])
    error_message = "Names have upper-case letters, digits and underscores."
  }
  validation {
    condition     = length(setintersection(keys(var.environment), ["AWS_REGION", "LOCKKEEPER__LEASE__TABLE", "LOCKKEEPER__QUEUE__DEAD_LETTER_URL", "LOCKKEEPER__QUEUE__URL", "LOCKKEEPER_CONFIG_TOML"])) == 0
    error_message = "AWS_REGION and LOCKKEEPER__QUEUE__… are set by the module, LOCKKEEPER__LEASE__TABLE by standby, LOCKKEEPER_CONFIG_TOML by settings_toml."
  }
}

variable "settings_toml" {
  description = "A whole settings document, ranked like a `--config` file. This is where `[[target]]` blocks go; `[discovery]` needs `discovery = true`."
  type        = string
  default     = ""

  validation {
    # A task definition may have 64 KiB, and JSON escapes every line break and quote.
    condition     = length(jsonencode(var.settings_toml)) <= 49152
    error_message = "More than 48 KiB does not fit a task definition: bake the file into an image made FROM Lockkeeper's."
  }
}

variable "secrets" {
  description = "Environment variables whose values come from SSM parameters or Secrets Manager, by ARN: the token of the HTTP API, a webhook."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:).+", arn))])
    error_message = "Give full ARNs of SSM parameters or Secrets Manager secrets."
  }
  validation {
    condition     = alltrue([for k in keys(var.secrets) : can(regex("^[A-Z][A-Z0-9_]*$", k))])
    error_message = "Names have upper-case letters, digits and underscores."
  }
  validation {
    condition     = length(setintersection(keys(var.secrets), ["AWS_REGION", "LOCKKEEPER__LEASE__TABLE", "LOCKKEEPER__QUEUE__DEAD_LETTER_URL", "LOCKKEEPER__QUEUE__URL", "LOCKKEEPER_CONFIG_TOML"])) == 0
    error_message = "AWS_REGION and LOCKKEEPER__QUEUE__… are set by the module, LOCKKEEPER__LEASE__TABLE by standby, LOCKKEEPER_CONFIG_TOML by settings_toml."
  }
}

variable "secrets_kms_key_arns" {
  description = "Customer-managed keys that those secrets are encrypted with."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secrets_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Give full ARNs of keys, arn:aws:kms:…:key/…: no aliases, no `*`."
  }
}

variable "log_retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 30

  validation {
    condition = contains([
      1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
    ], var.log_retention_days)
    error_message = "CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653 days."
  }
}
