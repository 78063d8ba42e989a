# Follows the tags that the services of one cluster already name: a push, a changed parameter or a changed secret starts a
# rollout of the services listed below.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Region of the cluster."
  type        = string
  default     = "eu-west-1"
}

variable "image" {
  description = "Lockkeeper's image, in a registry of yours."
  type        = string
}

variable "vpc_id" {
  description = "VPC in which the daemon runs."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way out."
  type        = list(string)
}

variable "pass_role_arns" {
  description = "Task and execution roles of the services that are deployed: what goes back names them again."
  type        = list(string)
}

module "lockkeeper" {
  source = "../.."

  image      = var.image
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids

  clusters     = ["shop-prod"]
  repositories = ["shop_*"]
  parameters   = ["/prod/shop/*"]
  secret_names = ["shop/*"]

  pass_role_arns = var.pass_role_arns

  settings_toml = <<-EOT
    [defaults]
    on_push = "follow"

    [[target]]
    name = "api"
    cluster = "shop-prod"
    service = "shop_service_api_prod"
    repositories = ["shop_service_api"]
    parameters = ["/prod/shop/api/*"]
    secrets = ["shop/api/*"]
  EOT
}

output "queue_url" {
  description = "The queue that Lockkeeper reads."
  value       = module.lockkeeper.queue_url
}
