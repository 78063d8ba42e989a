mock_provider "aws" {
  source = "../../tests/mocks"
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
}

run "the_first_run_makes_the_registries_and_runs_nothing" {
  command = apply

  assert {
    condition     = aws_ecs_service.api.desired_count == 0 && length(output.repositories) == 2
    error_message = "a task would start without an image"
  }
}

run "the_second_run_starts_both" {
  command = apply

  variables {
    running      = true
    alarm_emails = ["ops@example.com"]
  }

  assert {
    condition     = aws_ecs_service.api.desired_count == 1
    error_message = "the service does not run"
  }
  assert {
    condition     = aws_lb.this.internal
    error_message = "the page is open to the world"
  }
}
