variable "account" {
  description = "The account that the events come from."
  type        = string
}

variable "region" {
  description = "The Region that the events come from."
  type        = string
}

variable "partition" {
  description = "`aws`, or that of another group of Regions."
  type        = string
}

variable "clusters" {
  description = "Names of the ECS clusters whose services are deployed."
  type        = list(string)
}

variable "repositories" {
  description = "ECR repositories; `*` stands for anything."
  type        = list(string)
}

variable "parameters" {
  description = "SSM parameters; `*` stands for anything."
  type        = list(string)
}

variable "secret_names" {
  description = "Secrets by name; `*` stands for anything."
  type        = list(string)
}

variable "files" {
  description = "Buckets, and the keys in them; `*` stands for anything."
  type        = list(object({ bucket = string, keys = list(string) }))
}

variable "environments" {
  description = "Environments whose `github.actions.<environment>` events are taken. Empty: every environment's."
  type        = list(string)
}

variable "triggers" {
  description = "Which events are looked for."
  type        = map(bool)
}
