# Lockkeeper in one account deploys services of another: what happens there is forwarded to it, and it assumes a role there.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

# The account that Lockkeeper lives in.
provider "aws" {
  region = var.region
}

# The account whose services it deploys.
provider "aws" {
  alias  = "shop"
  region = var.region

  assume_role {
    role_arn = var.shop_admin_role_arn
  }
}

variable "region" {
  description = "Region of both."
  type        = string
  default     = "eu-west-1"
}

variable "shop_account" {
  description = "The account whose services are deployed."
  type        = string
}

variable "shop_admin_role_arn" {
  description = "A role of that account by which Terraform works there."
  type        = string
}

variable "image" {
  description = "Lockkeeper's image."
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
  description = "Task and execution roles there of the services that are deployed: what goes back names them again."
  type        = list(string)
}

data "aws_caller_identity" "current" {}

locals {
  # Written, not read: the role's trust names the daemon, and the daemon's policy names the role.
  target_role_arn = "arn:aws:iam::${var.shop_account}:role/lockkeeper-target"
  external_id     = "lockkeeper-shop"

  watched = {
    clusters     = ["shop-prod"]
    repositories = ["shop_*"]
    parameters   = ["/prod/shop/*"]
    secret_names = ["shop/*"]
  }
}

module "lockkeeper" {
  source = "../.."

  image          = var.image
  vpc_id         = var.vpc_id
  subnet_ids     = var.subnet_ids
  create_cluster = true

  # Nothing is deployed at home; the patterns of what is at home match nothing.
  clusters     = ["tools"]
  repositories = []
  parameters   = []
  secret_names = []

  source_accounts   = [var.shop_account]
  account_role_arns = [local.target_role_arn]

  settings_toml = <<-EOT
    [[aws.accounts]]
    id = "${var.shop_account}"
    role_arn = "${local.target_role_arn}"
    external_id = "${local.external_id}"

    [[target]]
    name = "api"
    account = "${var.shop_account}"
    cluster = "shop-prod"
    service = "shop_service_api_prod"
    repositories = ["shop_service_api"]
    parameters = ["/prod/shop/api/*"]
    secrets = ["shop/api/*"]
  EOT
}

module "forward" {
  source    = "../../modules/forward"
  providers = { aws = aws.shop }

  bus_arn      = module.lockkeeper.forward_bus_arn
  clusters     = local.watched.clusters
  repositories = local.watched.repositories
  parameters   = local.watched.parameters
  secret_names = local.watched.secret_names
}

module "target_account" {
  source    = "../../modules/target-account"
  providers = { aws = aws.shop }

  name           = "lockkeeper-target"
  task_role_arn  = module.lockkeeper.task_role_arn
  external_id    = local.external_id
  clusters       = local.watched.clusters
  pass_role_arns = var.pass_role_arns
  repositories   = local.watched.repositories
  parameters     = local.watched.parameters
  secret_names   = local.watched.secret_names
}

output "deployed_from" {
  description = "The account that Lockkeeper lives in."
  value       = data.aws_caller_identity.current.account_id
}

output "queue_url" {
  description = "The queue that Lockkeeper reads."
  value       = module.lockkeeper.queue_url
}
