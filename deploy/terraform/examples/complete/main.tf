# Everything from nothing: a network, a cluster with one service that Lockkeeper deploys, a load balancer with its page, and
# Lockkeeper itself, watched. The first run makes the registries; push both images, then run it again with `running = true`.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

provider "aws" {
  region = var.region

  # Lockkeeper marks the services that it deploys.
  ignore_tags {
    key_prefixes = ["lockkeeper:"]
  }
}

variable "region" {
  description = "Where everything is made."
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "Prefix of everything."
  type        = string
  default     = "shop"
}

variable "release" {
  description = "The tag of Lockkeeper's image."
  type        = string
  default     = "0.1.0"
}

variable "running" {
  description = "Whether the images have been pushed."
  type        = bool
  default     = false
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = list(string)
  default     = []
}

variable "readers" {
  description = "Networks that may open the page. It has no password for reading unless the settings ask for one."
  type        = list(string)
  default     = ["10.0.0.0/8"]
}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394: two are taken of it, the first by name
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, 2)
}

# ---------------------------------------------------------------- network: two public subnets, which cost nothing

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11: flow logs cost more than this network
  cidr_block           = "10.20.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Whoever forgets to name a group gets this one, which lets nothing through.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = 2

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${var.name}-${local.zones[count.index]}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table_association" "public" {
  count = 2

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

# ---------------------------------------------------------------- load balancer: the page, for the networks named

resource "aws_security_group" "alb" {
  name        = "${var.name}-alb"
  description = "The page, for the networks that may read it"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "alb" {
  for_each = toset(var.readers)

  security_group_id = aws_security_group.alb.id
  description       = "Readers"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_egress_rule" "alb" {
  security_group_id = aws_security_group.alb.id
  description       = "Tasks of this network"
  ip_protocol       = "tcp"
  from_port         = 8080
  to_port           = 8080
  cidr_ipv4         = aws_vpc.this.cidr_block
}

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_91: an example, with no bucket for the log
  # checkov:skip=CKV_AWS_150: an example, to be destroyed again
  # checkov:skip=CKV2_AWS_20: an example has no certificate
  name               = var.name
  internal           = true
  load_balancer_type = "application"
  subnets            = aws_subnet.public[*].id
  security_groups    = [aws_security_group.alb.id]

  drop_invalid_header_fields = true
}

# With a certificate of yours this is HTTPS on 443: a token that operates must not travel in the clear.
resource "aws_lb_listener" "this" {
  # checkov:skip=CKV_AWS_2: an example has no certificate
  # checkov:skip=CKV_AWS_103: an example has no certificate
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

# ---------------------------------------------------------------- a service that is deployed

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65: insights cost; the daemon has a dashboard of its own
  name = var.name
}

resource "aws_ecr_repository" "api" {
  # checkov:skip=CKV_AWS_51: `latest` is what the service follows, and it moves
  name = "${var.name}_api"
  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_cloudwatch_log_group" "api" {
  name              = "/${var.name}/api"
  retention_in_days = 14
}

resource "aws_ssm_parameter" "greeting" {
  # checkov:skip=CKV2_AWS_34: a greeting is no secret
  name  = "/prod/${var.name}/api/GREETING"
  type  = "String"
  value = "hello"

  # The value is set by people; each change of it starts a rollout of the service.
  lifecycle {
    ignore_changes = [value]
  }
}

resource "aws_iam_role" "api" {
  name = "${var.name}-api-execution"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ecs-tasks.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "api" {
  name = "start"
  role = aws_iam_role.api.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [aws_ecr_repository.api.arn]
      },
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.api.arn}:*"] },
      { Effect = "Allow", Action = ["ssm:GetParameters"], Resource = [aws_ssm_parameter.greeting.arn] },
    ]
  })
}

resource "aws_security_group" "api" {
  name        = "${var.name}-api"
  description = "The service: out only"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "api" {
  security_group_id = aws_security_group.api.id
  description       = "AWS APIs"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_ecs_task_definition" "api" {
  # checkov:skip=CKV_AWS_336: what the image writes is not known here
  family                   = "${var.name}_api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.api.arn
  # Lockkeeper follows this tag: a push under it starts a rollout, and the definition stays as it is.
  container_definitions = jsonencode([{
    name      = "api"
    image     = "${aws_ecr_repository.api.repository_url}:latest"
    essential = true
    secrets   = [{ name = "GREETING", valueFrom = aws_ssm_parameter.greeting.name }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.api.name
        "awslogs-region"        = var.region
        "awslogs-stream-prefix" = "api"
      }
    }
  }])
}

resource "aws_ecs_service" "api" {
  # checkov:skip=CKV_AWS_333: the network has no other way out; its group lets nobody in
  name            = "api"
  cluster         = aws_ecs_cluster.this.arn
  task_definition = aws_ecs_task_definition.api.arn
  desired_count   = var.running ? 1 : 0
  launch_type     = "FARGATE"

  # Without it ECS never ends a rollout that fails.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = aws_subnet.public[*].id
    security_groups  = [aws_security_group.api.id]
    assign_public_ip = true
  }

  # What is deployed between two runs is Lockkeeper's business.
  lifecycle {
    ignore_changes = [task_definition]
  }
}

# ---------------------------------------------------------------- Lockkeeper

module "lockkeeper" {
  source = "../.."

  create_repository = true
  image_tag         = var.release
  running           = var.running

  vpc_id           = aws_vpc.this.id
  subnet_ids       = aws_subnet.public[*].id
  assign_public_ip = true
  dns_namespace    = "${var.name}.internal"
  alb = {
    listener_arn      = aws_lb_listener.this.arn
    security_group_id = aws_security_group.alb.id
    paths             = ["/*"]
  }

  clusters     = [aws_ecs_cluster.this.name]
  discovery    = true
  repositories = ["${var.name}_*"]
  parameters   = ["/prod/${var.name}/*"]
  secret_names = ["${var.name}/*"]

  # Going back from a tag that has moved registers a revision, which names the roles again.
  pass_role_arns = [aws_iam_role.api.arn]

  # The service says itself what it depends on.
  settings_toml = <<-EOT
    [discovery]
    clusters = ["${aws_ecs_cluster.this.name}"]
  EOT

  standby      = true
  alarm_emails = var.alarm_emails
  archive_days = 30
}

output "page" {
  description = "Where the page is."
  value       = "http://${aws_lb.this.dns_name}/"
}

output "repositories" {
  description = "Where the images are pushed."
  value       = { api = aws_ecr_repository.api.repository_url, lockkeeper = module.lockkeeper.repository_url }
}
