locals {
  # What Fargate offers: MiB of memory for each size of CPU.
  memory_sizes = {
    256  = [512, 1024, 2048]
    512  = range(1024, 4096 + 1, 1024)
    1024 = range(2048, 8192 + 1, 1024)
    2048 = range(4096, 16384 + 1, 1024)
    4096 = range(8192, 30720 + 1, 1024)
  }

  cluster_name = var.create_cluster ? var.name : coalesce(var.home_cluster, var.clusters[0])
  image        = var.image != null ? var.image : var.create_repository ? "${aws_ecr_repository.this[0].repository_url}:${coalesce(var.image_tag, "latest")}" : ""

  environment = merge(
    var.environment,
    {
      AWS_REGION             = local.region
      LOCKKEEPER__QUEUE__URL = local.queue.url
    },
    { for it in var.existing_queue[*] : "LOCKKEEPER__QUEUE__DEAD_LETTER_URL" => it.dead_letter_url },
    # `reconcile.rule` takes names that begin with `lockkeeper`: another installation's says what its own is called.
    { for rule in aws_cloudwatch_event_rule.reconcile : "LOCKKEEPER__RECONCILE__RULE" => rule.name if !startswith(rule.name, "lockkeeper") },
    { for table in aws_dynamodb_table.lease : "LOCKKEEPER__LEASE__TABLE" => table.name },
    { for it in var.otlp_endpoint[*] : "OTEL_EXPORTER_OTLP_ENDPOINT" => it },
    { for k in ["LOCKKEEPER_CONFIG_TOML"] : k => var.settings_toml if var.settings_toml != "" },
  )
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/lockkeeper/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65: insights cost; the daemon has a dashboard of its own
  count = var.create_cluster ? 1 : 0

  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  container_definitions = jsonencode([{
    name                   = "lockkeeper"
    image                  = local.image
    essential              = true
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # Shutting down takes 10 s at most; rollouts are not waited for.
    stopTimeout = 30

    portMappings = [{ containerPort = 8080, protocol = "tcp" }]
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = [for name, arn in var.secrets : { name = name, valueFrom = arn }]

    # The image has no shell: the binary asks itself.
    healthCheck = {
      command     = ["CMD", "/lockkeeper", "health"]
      interval    = 15
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "lockkeeper"
        # A log that cannot be written must not stop a rollout from being watched.
        "mode"            = "non-blocking"
        "max-buffer-size" = "4m"
      }
    }
  }])

  lifecycle {
    precondition {
      condition     = var.image != null || (var.create_repository && var.image_tag != null)
      error_message = "Name the image: `image`, or `create_repository` and `image_tag`."
    }
    precondition {
      condition     = contains(local.memory_sizes[var.cpu], var.memory)
      error_message = "Fargate has no task with cpu = ${var.cpu} and memory = ${var.memory}: with that cpu, memory is one of ${join(", ", local.memory_sizes[var.cpu])}."
    }
    precondition {
      condition     = length(setintersection(keys(var.secrets), keys(local.environment))) == 0
      error_message = "ECS takes a name once; both in `secrets` and among the variables: ${join(", ", setintersection(keys(var.secrets), keys(local.environment)))}."
    }
    precondition {
      condition     = var.otlp_endpoint == null || !contains(keys(var.environment), "OTEL_EXPORTER_OTLP_ENDPOINT")
      error_message = "OTEL_EXPORTER_OTLP_ENDPOINT is set by `otlp_endpoint`: take it out of `environment`."
    }
    precondition {
      condition     = !var.create_cluster || var.home_cluster == null
      error_message = "With `create_cluster` Lockkeeper runs in the cluster that is made: take out `home_cluster`."
    }
    precondition {
      condition     = length(var.queue_kms_key_arns) == 0 || var.existing_queue != null
      error_message = "`queue_kms_key_arns` belongs to `existing_queue`: the module's own queues have SQS's encryption."
    }
    precondition {
      condition     = var.discovery || !can(regex("(?m)^[ \\t]*\\[discovery", var.settings_toml))
      error_message = "settings_toml has [discovery], for which `discovery = true` is needed: without it Lockkeeper may not look which services there are, and never becomes ready."
    }
    # Settings in the image are chosen by LOCKKEEPER_ENV, those of the Lambda stand in the environment.
    precondition {
      condition     = var.settings_toml != "" || length(var.environment) > 0 || length(var.secrets) > 0
      error_message = "Nothing would ever be deployed: name targets, [discovery] or [naming] in `settings_toml`, or the variables of the Lambda in `environment`."
    }
  }
}

resource "aws_ecs_service" "this" {
  # checkov:skip=CKV_AWS_333: `assign_public_ip` is off unless asked for; the group lets nobody in
  name            = var.name
  cluster         = var.create_cluster ? aws_ecs_cluster.this[0].arn : "${local.ecs_arn}:cluster/${local.cluster_name}"
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = !var.running ? 0 : var.standby ? 2 : 1
  # Not Spot: while its capacity is gone, nothing would be deployed.
  launch_type = "FARGATE"

  # One process per queue: the old one is stopped before the new one starts, and the queue waits. With a standby, one of
  # the two is replaced at a time, and the other one acts meanwhile.
  deployment_minimum_healthy_percent = var.standby ? 50 : 0
  deployment_maximum_percent         = 100
  # Moving a task to another zone starts the second one first.
  availability_zone_rebalancing = "DISABLED"

  # A release of Lockkeeper that does not start would be tried for ever, with nobody left to deploy the mend: after three
  # failed tasks, ECS goes back to the release that ran. The queue keeps what arrives meanwhile.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = aws_lb_target_group.this[*].arn

    content {
      target_group_arn = load_balancer.value
      container_name   = "lockkeeper"
      container_port   = 8080
    }
  }
  health_check_grace_period_seconds = var.alb == null ? null : 120

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this[*].arn

    content {
      registry_arn = service_registries.value
    }
  }

  propagate_tags = "SERVICE"
  tags           = var.tags

  # A daemon that starts before it may do anything counts as failed, and would trip the breaker.
  depends_on = [
    aws_iam_role_policy.execution, aws_iam_role_policy.task, aws_vpc_security_group_egress_rule.https,
    aws_lb_listener_rule.this,
  ]
}
