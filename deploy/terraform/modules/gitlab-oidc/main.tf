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

module "roles" {
  source = "../oidc-roles"

  name            = var.name
  tags            = var.tags
  url             = var.url
  audience        = var.audience
  create_provider = var.create_provider
  provider_arn    = var.provider_arn

  roles = { for name, it in var.roles : name => {
    description = "Pipelines of ${it.project}"
    subjects = concat(
      [for b in it.branches : "project_path:${it.project}:ref_type:branch:ref:${b}"],
      [for t in it.tags : "project_path:${it.project}:ref_type:tag:ref:${t}"],
      [for s in it.subjects : "project_path:${it.project}:${s}"],
    )
    push_to     = it.push_to
    buses       = it.buses
    sources     = it.sources
    policy_arns = it.policy_arns
  } }
}

# What a state has under these addresses is the same, and stays.
moved {
  from = aws_iam_openid_connect_provider.gitlab
  to   = module.roles.aws_iam_openid_connect_provider.this
}

moved {
  from = aws_iam_role.this
  to   = module.roles.aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.this
  to   = module.roles.aws_iam_role_policy.this
}

moved {
  from = aws_iam_role_policy_attachment.this
  to   = module.roles.aws_iam_role_policy_attachment.this
}

output "role_arns" {
  description = "The roles, by name: the variable AWS_ROLE_ARN, in the scope of each environment."
  value       = module.roles.role_arns
}

output "provider_arn" {
  description = "The account's provider for GitLab."
  value       = module.roles.provider_arn
}
