mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  task_role_arn  = "arn:aws:iam::999988887777:role/lockkeeper-task"
  clusters       = ["shop-prod"]
  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
}

run "only_the_daemon_may_assume_it_and_only_with_the_external_id" {
  command = apply

  variables {
    external_id = "shop"
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::999988887777:role/lockkeeper-task" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = "shop" } }
    }]
    error_message = aws_iam_role.this.assume_role_policy
  }
}

run "it_deploys_in_the_regions_named_and_passes_no_role_unasked" {
  command = apply

  variables {
    rollback       = false
    pass_role_arns = []
    regions        = ["eu-west-1", "us-east-1"]
    reconcile      = false
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "ReadAndUpdateServices"]) == [
      "arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/*", "arn:aws:ecs:us-east-1:111122223333:service/shop-prod/*",
    ]
    error_message = aws_iam_role_policy.this.policy
  }
  assert {
    condition     = length(regexall("\"(iam|ecr|ssm|s3|secretsmanager|sqs):", aws_iam_role_policy.this.policy)) == 0
    error_message = aws_iam_role_policy.this.policy
  }
}

run "a_region_of_the_sovereign_cloud_is_one" {
  command = apply

  variables {
    regions = ["eusc-de-east-1"]
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-eusc" }
  }

  assert {
    condition = contains(
      one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "ReadAndUpdateServices"]),
      "arn:aws-eusc:ecs:eusc-de-east-1:111122223333:service/shop-prod/*",
    )
    error_message = aws_iam_role_policy.this.policy
  }
}

run "without_roles_the_plan_says_that_nothing_goes_back" {
  command = plan

  variables {
    pass_role_arns = []
  }

  expect_failures = [check.going_back]
}

run "regions_and_buckets_are_given_by_name" {
  command = plan

  variables {
    regions = ["Ireland"]
    buckets = ["arn:aws:s3:::shop-env"]
  }

  expect_failures = [var.regions, var.buckets]
}
