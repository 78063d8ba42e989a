mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/gitlab-dev" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/gitlab.com" }
  }
}

variables {
  roles = {
    dev = {
      project  = "shop/backend/api"
      branches = ["main"]
      tags     = ["v1.4.2"]
      push_to  = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_service_api"]
      buses    = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
    }
  }
}

run "a_role_trusts_one_project_and_what_is_named_of_it" {
  command = apply

  assert {
    condition = jsondecode(module.roles.trust_policies["dev"]).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/gitlab.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = {
        "gitlab.com:aud" = "sts.amazonaws.com"
        "gitlab.com:sub" = ["project_path:shop/backend/api:ref_type:branch:ref:main", "project_path:shop/backend/api:ref_type:tag:ref:v1.4.2"]
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
    condition     = jsondecode(module.roles.policies["dev"]).Statement[2].Condition == { StringEquals = { "events:source" = ["action.deploy"] } }
    error_message = "it could put events in the name of others"
  }
}

run "a_gitlab_of_ones_own_is_named_by_its_address" {
  command = apply

  variables {
    url      = "https://git.example.com"
    audience = "https://git.example.com"
    roles    = { dev = { project = "shop/api", subjects = ["ref_type:branch:ref:main:environment_protected:true"] } }
  }

  assert {
    condition = jsondecode(module.roles.trust_policies["dev"]).Statement[0].Condition.StringEquals == {
      "git.example.com:aud" = "https://git.example.com"
      "git.example.com:sub" = ["project_path:shop/api:ref_type:branch:ref:main:environment_protected:true"]
    }
    error_message = module.roles.trust_policies["dev"]
  }
}

run "a_provider_that_is_there_is_named" {
  command = apply

  variables {
    create_provider = false
    provider_arn    = "arn:aws:iam::111122223333:oidc-provider/gitlab.com"
    roles           = { plan = { project = "shop/infrastructure", branches = ["main"], policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] } }
  }

  assert {
    condition     = module.roles.provider_arn == "arn:aws:iam::111122223333:oidc-provider/gitlab.com" && module.roles.policies == {}
    error_message = "the role may do something else, or another provider is trusted"
  }
  assert {
    condition     = module.roles.attached_policy_arns == { plan = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }
    error_message = "the role may not do what is named"
  }
}

run "an_address_that_is_not_encrypted_is_refused" {
  command = plan

  variables {
    url = "http://git.example.com"
  }

  expect_failures = [var.url]
}

run "a_group_is_not_trusted_as_a_whole" {
  command = plan

  variables {
    roles = { dev = { project = "shop/*", branches = ["main"] } }
  }

  expect_failures = [var.roles]
}

run "a_branch_with_a_star_is_refused" {
  command = plan

  variables {
    roles = { dev = { project = "shop/api", branches = ["*"] } }
  }

  expect_failures = [var.roles]
}

run "a_subject_with_a_star_is_refused" {
  command = plan

  variables {
    roles = { dev = { project = "shop/api", subjects = ["ref_type:branch:ref:*"] } }
  }

  expect_failures = [var.roles]
}

run "a_whole_project_is_not_trusted" {
  command = plan

  variables {
    roles = { dev = { project = "shop/api" } }
  }

  expect_failures = [var.roles]
}

run "a_provider_is_named_by_its_arn" {
  command = plan

  variables {
    create_provider = false
    provider_arn    = "gitlab.com"
  }

  expect_failures = [var.provider_arn]
}
