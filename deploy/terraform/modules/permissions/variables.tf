variable "account" {
  description = "The account whose services are deployed."
  type        = string
}

variable "partition" {
  description = "`aws`, or that of another group of Regions."
  type        = string
}

variable "regions" {
  description = "The Regions in which services are deployed."
  type        = list(string)
}

variable "clusters" {
  description = "Names of the clusters whose services are deployed."
  type        = list(string)
}

variable "task_families" {
  description = "Families of which revisions may be registered and marked; `*` stands for anything. `null`: of any, and registered only if a role is passed."
  type        = list(string)
}

variable "pass_role_arns" {
  description = "Roles that the registered task definitions name."
  type        = list(string)
}

variable "discovery" {
  description = "Whether services may be looked for."
  type        = bool
}

variable "reconcile" {
  description = "Whether times and digests of what changed may be read."
  type        = bool
}

variable "repositories" {
  description = "ECR repositories whose images matter."
  type        = list(string)
}

variable "parameters" {
  description = "SSM parameters that matter."
  type        = list(string)
}

variable "secret_names" {
  description = "Secrets that matter, by name."
  type        = list(string)
}

variable "buckets" {
  description = "Buckets of environment files."
  type        = list(string)
}
