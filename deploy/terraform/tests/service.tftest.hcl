mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_sqs_queue.main[0]
  values = {
    id  = "https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper"
    arn = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper"
  }
}

variables {
  image      = "registry.example.com/lockkeeper:1.0.0"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]
  clusters   = ["shop-prod", "shop-dev"]

  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]

  settings_toml = "[[target]]\nname = \"api\"\n"
}

run "one_process_per_queue" {
  command = apply

  assert {
    condition = (aws_ecs_service.this.desired_count == 1
      && aws_ecs_service.this.deployment_minimum_healthy_percent == 0
      && aws_ecs_service.this.deployment_maximum_percent == 100
    && aws_ecs_service.this.availability_zone_rebalancing == "DISABLED")
    error_message = "two processes may overlap"
  }
  assert {
    condition     = aws_ecs_service.this.cluster == "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod"
    error_message = aws_ecs_service.this.cluster
  }
  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "a release that does not start is tried for ever"
  }
}

run "the_container_is_closed_and_checks_itself" {
  command = apply

  assert {
    condition = alltrue([for c in jsondecode(aws_ecs_task_definition.this.container_definitions) : (
      c.readonlyRootFilesystem && c.stopTimeout == 30
      && c.healthCheck.command == ["CMD", "/lockkeeper", "health"]
      && c.linuxParameters.capabilities.drop == ["ALL"]
    )])
    error_message = aws_ecs_task_definition.this.container_definitions
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.http) == 0
    error_message = "somebody may connect"
  }
}

run "only_named_groups_may_connect" {
  command = apply

  variables {
    http_source_security_group_ids = ["sg-alb"]
  }

  assert {
    condition = ([for r in aws_vpc_security_group_ingress_rule.http : r.referenced_security_group_id] == ["sg-alb"]
    && alltrue([for r in aws_vpc_security_group_ingress_rule.http : r.cidr_ipv4 == null && r.cidr_ipv6 == null]))
    error_message = "the port is open to others"
  }
}

run "settings_reach_the_daemon" {
  command = apply

  variables {
    environment   = { LOCKKEEPER__DEFAULTS__TIMEOUT = "20m" }
    settings_toml = "[[target]]\nname = \"api\"\n"
    secrets       = { SLACK_WEBHOOK_URL = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack" }
  }

  assert {
    condition = { for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.name => e.value } == {
      AWS_REGION                    = "eu-west-1"
      LOCKKEEPER_CONFIG_TOML        = "[[target]]\nname = \"api\"\n"
      LOCKKEEPER__DEFAULTS__TIMEOUT = "20m"
      LOCKKEEPER__QUEUE__URL        = "https://sqs.eu-west-1.amazonaws.com/111122223333/lockkeeper"
    }
    error_message = aws_ecs_task_definition.this.container_definitions
  }
  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets == [
      { name = "SLACK_WEBHOOK_URL", valueFrom = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack" }
    ]
    error_message = aws_ecs_task_definition.this.container_definitions
  }
}

run "the_queue_is_not_a_setting_of_the_user" {
  command = plan

  variables {
    environment = { LOCKKEEPER__QUEUE__URL = "https://example.com/other" }
  }

  expect_failures = [var.environment]
}

run "an_image_without_a_tag_is_refused" {
  command = plan

  variables {
    image = "registry.example.com/lockkeeper"
  }

  expect_failures = [var.image]
}

run "traces_reach_a_collector_on_its_port" {
  command = plan

  variables {
    otlp_endpoint = "http://collector.internal:4318"
  }

  assert {
    condition     = { for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.name => e.value }["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.internal:4318"
    error_message = "The collector is not named."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.otlp : [rule.from_port, rule.to_port]] == [[4318, 4318]]
    error_message = "The way out to the collector is not open."
  }
}

run "a_collector_behind_https_needs_no_way_out_of_its_own" {
  command = plan

  variables {
    otlp_endpoint = "https://otlp.example.com/otlp"
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.otlp) == 0
    error_message = "443 is open twice."
  }
}

run "a_webhook_on_a_port_of_its_own_is_reached" {
  command = plan

  variables {
    egress_ports  = [8443, 443, 4318, 80]
    otlp_endpoint = "http://collector.internal:4318"
  }

  # No port twice: AWS refuses a rule that is there.
  assert {
    condition = { for rule in concat(
      values(aws_vpc_security_group_egress_rule.more), values(aws_vpc_security_group_egress_rule.otlp), [aws_vpc_security_group_egress_rule.https]
    ) : rule.from_port => rule.to_port... } == { 80 = [80], 443 = [443], 4318 = [4318], 8443 = [8443] }
    error_message = "A port is closed, or opened twice."
  }
}

run "a_collector_is_named_by_a_url" {
  command = plan

  variables {
    otlp_endpoint = "collector.internal:4318"
  }

  expect_failures = [var.otlp_endpoint]
}

run "settings_with_discovery_need_the_permission_to_look" {
  command = plan

  variables {
    settings_toml = "[defaults]\ndry_run = true\n\n  [discovery]\n  clusters = [\"shop-prod\"]\n"
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "settings_with_discovery_and_the_permission_are_taken" {
  command = plan

  variables {
    discovery     = true
    settings_toml = "[discovery]\nclusters = [\"shop-prod\"]\n"
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 1
    error_message = "it does not run"
  }
}

run "a_word_about_discovery_is_no_section" {
  command = plan

  variables {
    settings_toml = "# [discovery] would find them\n[[target]]\nname = \"api\"\n"
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 1
    error_message = "it does not run"
  }
}

run "an_installation_that_would_deploy_nothing_is_refused" {
  command = plan

  variables {
    settings_toml = ""
  }

  expect_failures = [aws_ecs_task_definition.this]
}
