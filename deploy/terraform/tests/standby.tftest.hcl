mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_dynamodb_table.lease[0]
  values = { arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/lockkeeper" }
}

variables {
  image      = "registry.example.com/lockkeeper:1.0.0"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]
  clusters   = ["shop-prod"]

  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]

  settings_toml = "[[target]]\nname = \"api\"\n"
}

run "without_it_there_is_no_table" {
  command = apply

  assert {
    condition     = length(aws_dynamodb_table.lease) == 0 && !strcontains(aws_iam_role_policy.task.policy, "dynamodb:")
    error_message = "a table, or a right to one, that nobody asked for"
  }
  assert {
    condition     = !strcontains(aws_ecs_task_definition.this.container_definitions, "LOCKKEEPER__LEASE__TABLE")
    error_message = aws_ecs_task_definition.this.container_definitions
  }
}

run "two_tasks_agree_by_a_table" {
  command = apply

  variables {
    standby = true
  }

  assert {
    condition = (aws_dynamodb_table.lease[0].hash_key == "pk" && aws_dynamodb_table.lease[0].range_key == null
      && [for a in aws_dynamodb_table.lease[0].attribute : "${a.name} ${a.type}"] == ["pk S"]
    && aws_dynamodb_table.lease[0].billing_mode == "PAY_PER_REQUEST")
    error_message = "not the table that Lockkeeper expects"
  }
  assert {
    condition = { for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.name => e.value
    }["LOCKKEEPER__LEASE__TABLE"] == "lockkeeper"
    error_message = aws_ecs_task_definition.this.container_definitions
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s if s.Sid == "HoldTheLease"] == [{
      Sid      = "HoldTheLease"
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      Resource = ["arn:aws:dynamodb:eu-west-1:111122223333:table/lockkeeper"]
    }]
    error_message = aws_iam_role_policy.task.policy
  }
}

run "one_of_the_two_is_replaced_at_a_time" {
  command = apply

  variables {
    standby = true
  }

  assert {
    condition = (aws_ecs_service.this.desired_count == 2
      && aws_ecs_service.this.deployment_minimum_healthy_percent == 50
    && aws_ecs_service.this.deployment_maximum_percent == 100)
    error_message = "both may be stopped at once"
  }
}

run "the_table_is_not_a_setting_of_the_user" {
  command = plan

  variables {
    environment = { LOCKKEEPER__LEASE__TABLE = "other" }
  }

  expect_failures = [var.environment]
}
