variable "name" {
  description = "Prefix of the roles."
  type        = string
  default     = "github"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,31}$", var.name))
    error_message = "The name has 1 to 32 letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags for every resource that takes some."
  type        = map(string)
  default     = {}
}

variable "create_provider" {
  description = "Whether the account's provider for GitHub is made: an account has one."
  type        = bool
  default     = true
}

variable "provider_arn" {
  description = "The provider that the account has, without `create_provider`."
  type        = string
  default     = null

  validation {
    condition     = var.provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.provider_arn))
    error_message = "Give the full ARN of the provider: arn:aws:iam::…:oidc-provider/token.actions.githubusercontent.com."
  }
}

variable "roles" {
  description = <<-EOT
    Roles by name, one per environment: the `repository` (`owner/name`) and the `environments` or `branches` of it that are
    trusted; the ECR repositories that it may `push_to`, by ARN; the event `buses` on which it may put events of these
    `sources`, by ARN; policies that it has beside.

    An environment is only as closed as its rules at GitHub: limit its branches there, and name its reviewers. One that has no
    limit is that of pull requests too, whose jobs have the same subject: such a role must only read.
  EOT
  type = map(object({
    repository   = string
    environments = optional(list(string), [])
    branches     = optional(list(string), [])
    push_to      = optional(list(string), [])
    buses        = optional(list(string), [])
    sources      = optional(list(string), ["github.actions", "action.deploy"])
    policy_arns  = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for it in values(var.roles) : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", it.repository))])
    error_message = "A repository is owner/name, without `*`."
  }
  validation {
    condition     = alltrue([for it in values(var.roles) : length(it.environments) + length(it.branches) > 0])
    error_message = "Name the environments or branches that are trusted: without, every pull request would be."
  }
  validation {
    condition = alltrue(flatten([
      for it in values(var.roles) : [for name in concat(it.environments, it.branches) : can(regex("^[A-Za-z0-9_./-]+$", name))]
    ]))
    error_message = "Environments and branches are named whole: letters, digits and `_./-`, no `*`."
  }
  validation {
    condition     = alltrue(flatten([for it in values(var.roles) : [for arn in concat(it.push_to, it.buses) : !strcontains(arn, "*")]]))
    error_message = "Repositories and buses are named by full ARNs, without `*`."
  }
  validation {
    condition     = alltrue(flatten([for it in values(var.roles) : [for arn in it.push_to : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/.+$", arn))]]))
    error_message = "`push_to` has ARNs of ECR repositories: arn:aws:ecr:…:repository/…"
  }
  validation {
    condition     = alltrue(flatten([for it in values(var.roles) : [for arn in it.buses : can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/.+$", arn))]]))
    error_message = "`buses` has ARNs of event buses: arn:aws:events:…:event-bus/…"
  }
}
