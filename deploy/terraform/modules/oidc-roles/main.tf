# Roles for the jobs of a CI system, without a key: AWS takes the system's word for who they are, and each role names the subjects that
# it trusts, whole. `github-oidc` and `gitlab-oidc` say how these are called there.

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
  provider_arn = var.create_provider ? aws_iam_openid_connect_provider.this[0].arn : var.provider_arn
}

# One per account.
resource "aws_iam_openid_connect_provider" "this" {
  count = var.create_provider ? 1 : 0

  url            = var.url
  client_id_list = [var.audience]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  for_each = var.roles

  name                 = "${var.name}-${each.key}"
  description          = each.value.description
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
          # Whole, without `*`: one for `shop/*` would be every repository of the owner, and every branch and pull request of them.
          "${local.issuer}:sub" = each.value.subjects
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

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = "release"
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

# What a job may do beside, such as applying Terraform.
resource "aws_iam_role_policy_attachment" "this" {
  for_each = merge([for name, it in var.roles : { for number, arn in it.policy_arns : "${name}-${number}" => { role = name, arn = arn } }]...)

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}
