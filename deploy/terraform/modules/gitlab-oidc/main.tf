# How GitLab's pipelines act in AWS without a key: GitLab's word for who they are, and roles each of which trusts one project
# and the branches or tags of it that are named. A role may push images and put requests on a bus; it cannot touch ECS.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

locals {
  issuer       = trimprefix(var.url, "https://")
  provider_arn = var.create_provider ? aws_iam_openid_connect_provider.gitlab[0].arn : var.provider_arn

  subjects = { for name, it in var.roles : name => concat(
    [for b in it.branches : "project_path:${it.project}:ref_type:branch:ref:${b}"],
    [for t in it.tags : "project_path:${it.project}:ref_type:tag:ref:${t}"],
    [for s in it.subjects : "project_path:${it.project}:${s}"],
  ) }
}

# One per account.
resource "aws_iam_openid_connect_provider" "gitlab" {
  count = var.create_provider ? 1 : 0

  url            = var.url
  client_id_list = [var.audience]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  for_each = var.roles

  name                 = "${var.name}-${each.key}"
  description          = "Pipelines of ${each.value.project}"
  max_session_duration = 3600
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = var.audience
          # Whole, without `*`: `project_path:shop/*` would be every project of the group, and every branch of it.
          "${local.issuer}:sub" = local.subjects[each.key]
        }
      }
    }]
  })

  lifecycle {
    precondition {
      condition     = var.create_provider || var.provider_arn != null
      error_message = "Name the provider that the account has, or have it made."
    }
  }
}

module "release_policy" {
  source = "../release-policy"

  roles = { for name, it in var.roles : name => { push_to = it.push_to, buses = it.buses, sources = it.sources } }
}

resource "aws_iam_role_policy" "this" {
  for_each = module.release_policy.policies

  name   = "release"
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

# What a pipeline may do beside, such as applying Terraform.
resource "aws_iam_role_policy_attachment" "this" {
  for_each = merge([for name, it in var.roles : { for number, arn in it.policy_arns : "${name}-${number}" => { role = name, arn = arn } }]...)

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}

output "role_arns" {
  description = "The roles, by name: the variable AWS_ROLE_ARN, in the scope of each environment."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}

output "provider_arn" {
  description = "The account's provider for GitLab."
  value       = local.provider_arn
}
