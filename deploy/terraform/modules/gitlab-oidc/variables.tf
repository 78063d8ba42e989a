variable "name" {
  description = "Prefix of the roles."
  type        = string
  default     = "gitlab"

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

variable "url" {
  description = "GitLab: the issuer of the tokens. AWS has to reach it, to read the keys that they are signed with."
  type        = string
  default     = "https://gitlab.com"

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+(/[A-Za-z0-9._/-]*[A-Za-z0-9])?$", var.url))
    error_message = "An address like https://gitlab.example.com, without a port, and without a slash behind it."
  }
}

variable "audience" {
  description = "What `aud` says in the `id_tokens` of the jobs."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "create_provider" {
  description = "Whether the account's provider for this GitLab is made: an account has one."
  type        = bool
  default     = true
}

variable "provider_arn" {
  description = "The provider that the account has, without `create_provider`."
  type        = string
  default     = null

  validation {
    condition     = var.provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?$", var.provider_arn))
    error_message = "Give the full ARN of the provider: arn:aws:iam::…:oidc-provider/gitlab.example.com."
  }
}

variable "roles" {
  description = <<-EOT
    Roles by name: the `project` (`group/project`, with all groups that it is in) and the `branches` or `tags` of it that are
    trusted; the ECR repositories that it may `push_to`, by ARN; the event `buses` on which it may put events of these
    `sources`, by ARN; policies that it has beside.

    GitLab's subject names no environment: every job of a trusted branch may assume the role. So protect the branches, and give
    production a branch or tags of its own. Or have the project write more into it (`ci_id_token_sub_claim_components`), and give
    in `subjects` what then follows the project: `ref_type:branch:ref:main:environment_protected:true`.
  EOT
  type = map(object({
    project     = string
    branches    = optional(list(string), [])
    tags        = optional(list(string), [])
    subjects    = optional(list(string), [])
    push_to     = optional(list(string), [])
    buses       = optional(list(string), [])
    sources     = optional(list(string), ["action.deploy"])
    policy_arns = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for it in values(var.roles) : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", it.project))])
    error_message = "A project is group/project, without `*`."
  }
  validation {
    condition     = alltrue([for it in values(var.roles) : length(it.branches) + length(it.tags) + length(it.subjects) > 0])
    error_message = "Name the branches or tags that are trusted: without, every merge request would be."
  }
  validation {
    condition = alltrue(flatten([
      for it in values(var.roles) : [for name in concat(it.branches, it.tags) : can(regex("^[A-Za-z0-9_./-]+$", name))]
    ]))
    error_message = "Branches and tags are named whole: letters, digits and `_./-`, no `*`."
  }
  validation {
    condition     = alltrue(flatten([for it in values(var.roles) : [for s in it.subjects : can(regex("^[a-z_]+:[A-Za-z0-9_./:-]+$", s))]]))
    error_message = "A subject is claim:value, and more of them behind it, without `*`."
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
