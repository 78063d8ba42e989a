variable "name" {
  description = "Prefix of the roles."
  type        = string
}

variable "tags" {
  description = "Tags for every resource that takes some."
  type        = map(string)
  default     = {}
}

variable "url" {
  description = "The issuer of the tokens."
  type        = string
}

variable "audience" {
  description = "What `aud` says in them."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "create_provider" {
  description = "Whether the account's provider for this issuer is made: an account has one."
  type        = bool
}

variable "provider_arn" {
  description = "The provider that the account has, without `create_provider`."
  type        = string
}

variable "roles" {
  description = <<-EOT
    Roles by name: the subjects that each trusts, whole; the ECR repositories that it may push to and the buses on which it may put
    events of these sources, by ARN; policies that it has beside.
  EOT
  type = map(object({
    description = string
    subjects    = list(string)
    push_to     = list(string)
    buses       = list(string)
    sources     = list(string)
    policy_arns = list(string)
  }))

  validation {
    condition     = alltrue([for it in values(var.roles) : length(it.subjects) > 0 && alltrue([for s in it.subjects : !can(regex("[*?]", s))])])
    error_message = "A role names the subjects that it trusts, whole."
  }
}
