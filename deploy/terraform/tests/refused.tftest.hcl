# What can be known to be wrong is refused by the plan, with the mend in its message: not by AWS, when half is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  image      = "registry.example.com/lockkeeper:1.0.0"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]
  clusters   = ["shop-prod"]

  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]

  settings_toml = "[[target]]"
}

run "what_is_no_id_is_refused" {
  command = plan

  variables {
    vpc_id                         = "nonsense"
    subnet_ids                     = [""]
    http_source_security_group_ids = ["not-a-group"]
  }

  expect_failures = [var.vpc_id, var.subnet_ids, var.http_source_security_group_ids]
}

run "a_cluster_is_no_arn" {
  command = plan

  variables {
    home_cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/tools"
  }

  expect_failures = [var.home_cluster]
}

run "a_cluster_that_is_made_is_the_one_it_runs_in" {
  command = plan

  variables {
    create_cluster = true
    home_cluster   = "tools"
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "an_environment_is_named_whole" {
  command = plan

  variables {
    environments = ["prod uction*"]
  }

  expect_failures = [var.environments]
}

run "a_size_that_fargate_has_not_is_refused" {
  command = plan

  variables {
    cpu    = 1024
    memory = 512
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "a_key_is_named_whole" {
  command = plan

  variables {
    secrets_kms_key_arns = ["*"]
  }

  expect_failures = [var.secrets_kms_key_arns]
}

run "a_queue_has_its_own_url" {
  command = plan

  variables {
    existing_queue = {
      url             = "nonsense"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/dlq"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:dlq"
    }
  }

  expect_failures = [var.existing_queue]
}

run "a_dead_letter_queue_has_its_own_url" {
  command = plan

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/other"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:dlq"
    }
  }

  expect_failures = [var.existing_queue]
}

run "a_dead_letter_queue_is_not_fifo" {
  command = plan

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/dlq.fifo"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:dlq.fifo"
    }
  }

  expect_failures = [var.existing_queue]
}

run "a_queue_is_not_its_own_dead_letter_queue" {
  command = plan

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:deployments"
    }
  }

  expect_failures = [var.existing_queue]
}

run "one_namespace_is_enough" {
  command = plan

  variables {
    dns_namespace    = "tools.internal"
    dns_namespace_id = "ns-0123456789abcdef"
  }

  expect_failures = [aws_service_discovery_service.this]
}

run "found_in_a_namespace_is_found_in_one" {
  command = plan

  variables {
    dns_service = true
  }

  expect_failures = [aws_service_discovery_service.this]
}

run "the_port_of_a_collector_is_that_of_its_address" {
  command = plan

  variables {
    otlp_endpoint = "http://collector.internal:4318"
    otlp_port     = 4317
  }

  expect_failures = [aws_vpc_security_group_egress_rule.otlp]
}

run "a_secret_is_not_a_variable_as_well" {
  command = plan

  variables {
    environment = { SLACK_WEBHOOK_URL = "https://example.com" }
    secrets     = { SLACK_WEBHOOK_URL = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "a_secret_is_not_what_the_module_sets" {
  command = plan

  variables {
    secrets = { LOCKKEEPER__QUEUE__URL = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/queue" }
  }

  expect_failures = [var.secrets]
}

run "a_secret_has_a_name_of_a_variable" {
  command = plan

  variables {
    secrets = { "slack-url" = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack" }
  }

  expect_failures = [var.secrets]
}

run "a_collector_is_named_once" {
  command = plan

  variables {
    otlp_endpoint = "http://collector.internal:4318"
    environment   = { OTEL_EXPORTER_OTLP_ENDPOINT = "http://other.internal:4318" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "a_load_balancer_is_named_by_its_listener_and_group" {
  command = plan

  variables {
    alb = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/a/b"
      security_group_id = "default"
      host_names        = ["deployments.example.com"]
      priority          = 0
    }
  }

  expect_failures = [var.alb]
}

run "an_archive_whose_name_is_too_long_is_refused" {
  command = plan

  variables {
    archive_days     = 1
    request_bus_name = "a-bus-with-a-name-that-is-rather-long-for-an-archive"
  }

  expect_failures = [aws_cloudwatch_event_archive.this]
}

run "an_archive_is_kept_for_whole_days" {
  command = plan

  variables {
    archive_days = 1.5
    trail_days   = 1.5
    alb = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/a/b/c"
      security_group_id = "sg-1"
      host_names        = ["deployments.example.com"]
      priority          = 1.5
    }
  }

  expect_failures = [var.archive_days, var.trail_days, var.alb]
}

run "a_target_group_has_a_name_that_it_may_have" {
  command = plan

  variables {
    name = "lockkeeper-"
    alb = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/a/b/c"
      security_group_id = "sg-1"
      host_names        = ["deployments.example.com"]
    }
  }

  expect_failures = [aws_lb_target_group.this]
}

run "a_trail_whose_bucket_would_have_too_long_a_name_is_refused" {
  command = plan

  override_data {
    target = data.aws_region.current
    values = { name = "ap-southeast-1" }
  }

  variables {
    name         = "lockkeeper-of-the-shop-and-more"
    create_trail = true
  }

  expect_failures = [aws_s3_bucket.trail]
}

run "a_port_is_a_whole_number" {
  command = plan

  variables {
    egress_ports = [8443.5]
  }

  expect_failures = [var.egress_ports]
}

run "a_port_is_no_greater_than_ports_are" {
  command = plan

  variables {
    egress_ports = [443, 65536]
  }

  expect_failures = [var.egress_ports]
}

run "sizes_that_fargate_has_are_taken" {
  command = plan

  variables {
    cpu    = 1024
    memory = 3072
  }

  assert {
    condition     = aws_ecs_task_definition.this.memory == "3072"
    error_message = aws_ecs_task_definition.this.memory
  }
}

run "two_buckets_have_no_name_together" {
  command = plan

  variables {
    files = [
      { bucket = "conf-one", name = "env", switch_on_events = true },
      { bucket = "conf-two", name = "env", switch_on_events = true },
    ]
  }

  expect_failures = [aws_s3_bucket_notification.files]
}
