mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/github-dev" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
}

variables {
  roles = {
    dev = {
      repository   = "shop/api"
      environments = ["dev"]
      branches     = ["main"]
      push_to      = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_service_api"]
      buses        = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
    }
  }
}

run "a_role_trusts_one_repository_and_what_is_named_of_it" {
  command = apply

  assert {
    condition = jsondecode(module.roles.trust_policies["dev"]).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:shop/api:environment:dev", "repo:shop/api:ref:refs/heads/main"]
      } }
    }]
    error_message = module.roles.trust_policies["dev"]
  }
}

run "it_may_push_there_and_ask_and_nothing_else" {
  command = apply

  assert {
    condition = { for s in jsondecode(module.roles.policies["dev"]).Statement : s.Sid => s.Resource } == {
      RegistryLogin     = ["*"]
      Push              = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_service_api"]
      AskForDeployments = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
    }
    error_message = module.roles.policies["dev"]
  }
  assert {
    condition     = jsondecode(module.roles.policies["dev"]).Statement[2].Condition == { StringEquals = { "events:source" = ["github.actions", "action.deploy"] } }
    error_message = "it could put events in the name of others"
  }
  assert {
    condition     = !strcontains(module.roles.policies["dev"], "ecs:") && !strcontains(module.roles.policies["dev"], "iam:")
    error_message = module.roles.policies["dev"]
  }
}

run "a_repository_with_a_star_is_refused" {
  command = plan

  variables {
    roles = { dev = { repository = "shop/*", branches = ["main"] } }
  }

  expect_failures = [var.roles]
}

run "a_branch_with_a_star_is_refused" {
  command = plan

  variables {
    roles = { dev = { repository = "shop/api", branches = ["*"] } }
  }

  expect_failures = [var.roles]
}

run "a_whole_repository_is_not_trusted" {
  command = plan

  variables {
    roles = { dev = { repository = "shop/api" } }
  }

  expect_failures = [var.roles]
}

run "a_provider_that_is_there_is_named" {
  command = apply

  variables {
    create_provider = false
    provider_arn    = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    roles = {
      plan = { repository = "shop/infrastructure", environments = ["infrastructure-plan"], policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }
    }
  }

  assert {
    condition     = module.roles.provider_arn == "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" && module.roles.policies == {}
    error_message = "the role may do something else, or another provider is trusted"
  }
  assert {
    condition     = module.roles.attached_policy_arns == { plan = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }
    error_message = "the role may not do what is named"
  }
}

run "a_provider_is_that_of_github" {
  command = plan

  variables {
    create_provider = false
    provider_arn    = "arn:aws:iam::111122223333:oidc-provider/gitlab.com"
  }

  expect_failures = [var.provider_arn]
}
