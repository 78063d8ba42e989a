mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  image      = "registry.example.com/lockkeeper:1.0.0"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]

  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
}

run "it_can_be_applied" {
  command = apply

  assert {
    condition     = output.queue_url != ""
    error_message = "there is no queue"
  }
}
