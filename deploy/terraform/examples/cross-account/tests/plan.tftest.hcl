mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "aws" {
  alias = "shop"

  mock_data "aws_caller_identity" {
    defaults = { account_id = "444455556666" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:444455556666:rule/a-rule" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::444455556666:role/lockkeeper-target" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:444455556666:a-queue" }
  }
}

variables {
  shop_account        = "444455556666"
  shop_admin_role_arn = "arn:aws:iam::444455556666:role/admin"
  image               = "registry.example.com/lockkeeper:1.0.0"
  vpc_id              = "vpc-1"
  subnet_ids          = ["subnet-1"]
  pass_role_arns      = ["arn:aws:iam::444455556666:role/shop-task"]
}

run "the_role_that_is_made_is_the_one_that_is_assumed" {
  command = apply

  assert {
    condition     = module.target_account.role_arn == local.target_role_arn
    error_message = module.target_account.role_arn
  }
}
