# How GitHub's workflows act in AWS without a key: GitHub's word for who they are, and a role per environment that trusts one
# repository and one environment or branch of it. A role may push images and put requests on a bus; it cannot touch ECS.

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
  url             = "https://token.actions.githubusercontent.com"
  create_provider = var.create_provider
  provider_arn    = var.provider_arn

  roles = { for name, it in var.roles : name => {
    description = "Workflows of ${it.repository}"
    subjects = concat(
      [for e in it.environments : "repo:${it.repository}:environment:${e}"],
      [for b in it.branches : "repo:${it.repository}:ref:refs/heads/${b}"],
    )
    push_to     = it.push_to
    buses       = it.buses
    sources     = it.sources
    policy_arns = it.policy_arns
  } }
}

# What a state has under these addresses is the same, and stays.
moved {
  from = aws_iam_openid_connect_provider.github
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
  description = "The roles, by name: the variable AWS_ROLE_ARN of each environment."
  value       = module.roles.role_arns
}

output "provider_arn" {
  description = "The account's provider for GitHub."
  value       = module.roles.provider_arn
}
