# In another account whose services Lockkeeper deploys: the role that it assumes there (`[[aws.accounts]]`), with the same
# permissions as at home.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

module "permissions" {
  source = "../permissions"

  account        = data.aws_caller_identity.current.account_id
  partition      = data.aws_partition.current.partition
  regions        = length(var.regions) > 0 ? var.regions : [data.aws_region.current.name]
  clusters       = var.clusters
  task_families  = var.task_families
  pass_role_arns = var.pass_role_arns
  discovery      = var.discovery
  reconcile      = var.reconcile
  repositories   = var.repositories
  parameters     = var.parameters
  secret_names   = var.secret_names
  buckets        = var.buckets
}

check "going_back" {
  assert {
    condition     = !var.rollback || module.permissions.registers
    error_message = module.permissions.registers_nothing
  }
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "Lockkeeper deploys services of this account"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Principal = { AWS = var.task_role_arn }
        Action    = "sts:AssumeRole"
      },
      { for k in ["Condition"] : k => { StringEquals = { "sts:ExternalId" = var.external_id } } if var.external_id != null },
    )]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "this" {
  name = "deploy"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = module.permissions.statements
  })
}

output "role_arn" {
  description = "`role_arn` of `[[aws.accounts]]`, and of the module's `account_role_arns`."
  value       = aws_iam_role.this.arn
}
