mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/ci-dev" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/ci.example.com" }
  }
}

variables {
  name            = "ci"
  url             = "https://ci.example.com"
  create_provider = true
  provider_arn    = null
  roles = {
    dev = {
      description = "Jobs of shop/api"
      subjects    = ["shop/api:main"]
      push_to     = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_service_api"]
      buses       = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
      sources     = ["action.deploy"]
      policy_arns = []
    }
  }
}

run "a_role_trusts_what_is_named_and_who_says_so" {
  command = apply

  variables {
    audience = "https://ci.example.com"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this[0].url == "https://ci.example.com" && aws_iam_openid_connect_provider.this[0].client_id_list == toset(["https://ci.example.com"])
    error_message = "another system would be trusted"
  }
  assert {
    condition = jsondecode(aws_iam_role.this["dev"].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/ci.example.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = { "ci.example.com:aud" = "https://ci.example.com", "ci.example.com:sub" = ["shop/api:main"] } }
    }]
    error_message = aws_iam_role.this["dev"].assume_role_policy
  }
  assert {
    condition     = output.trust_policies == { dev = aws_iam_role.this["dev"].assume_role_policy } && output.role_arns == { dev = aws_iam_role.this["dev"].arn }
    error_message = "other roles are told of"
  }
}

run "it_may_push_there_and_ask_and_nothing_else" {
  command = apply

  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.this["dev"].policy).Statement : s.Sid => s.Resource } == {
      RegistryLogin     = ["*"]
      Push              = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_service_api"]
      AskForDeployments = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
    }
    error_message = aws_iam_role_policy.this["dev"].policy
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this["dev"].policy).Statement[2].Condition == { StringEquals = { "events:source" = ["action.deploy"] } }
    error_message = "it could put events in the name of others"
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.this["dev"].policy, "ecs:") && !strcontains(aws_iam_role_policy.this["dev"].policy, "iam:")
    error_message = aws_iam_role_policy.this["dev"].policy
  }
  assert {
    condition     = output.policies == { dev = aws_iam_role_policy.this["dev"].policy }
    error_message = "it is told to be able to do something else"
  }
}

run "policies_are_attached_where_they_are_named" {
  command = apply

  variables {
    create_provider = false
    provider_arn    = "arn:aws:iam::111122223333:oidc-provider/ci.example.com"
    roles = {
      plan = {
        description = "Plans of shop/infrastructure"
        subjects    = ["shop/infrastructure:plan"]
        push_to     = []
        buses       = []
        sources     = []
        policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
      }
    }
  }

  assert {
    condition     = [for a in aws_iam_role_policy_attachment.this : a.policy_arn] == ["arn:aws:iam::aws:policy/ReadOnlyAccess"] && length(aws_iam_role_policy.this) == 0
    error_message = "the role may do something else"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["plan"].assume_role_policy).Statement[0].Principal == { Federated = "arn:aws:iam::111122223333:oidc-provider/ci.example.com" }
    error_message = "another provider is trusted"
  }
  assert {
    condition     = output.attached_policy_arns == { plan = ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }
    error_message = "it is told to be able to do something else"
  }
}

run "a_provider_is_made_or_named" {
  command = plan

  variables {
    create_provider = false
  }

  expect_failures = [aws_iam_role.this]
}

run "a_subject_with_a_star_is_refused" {
  command = plan

  variables {
    roles = { dev = { description = "Jobs", subjects = ["shop/*"], push_to = [], buses = [], sources = [], policy_arns = [] } }
  }

  expect_failures = [var.roles]
}

run "a_role_that_names_no_subject_is_refused" {
  command = plan

  variables {
    roles = { dev = { description = "Jobs", subjects = [], push_to = [], buses = [], sources = [], policy_arns = [] } }
  }

  expect_failures = [var.roles]
}
