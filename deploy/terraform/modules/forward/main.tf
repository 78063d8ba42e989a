# In an account or Region whose events Lockkeeper is to see: the module's rules, whose target is the bus that it has for
# them (`forward_bus_arn`). Requests are not forwarded: CI systems put them where Lockkeeper is.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

module "patterns" {
  source = "../patterns"

  account      = data.aws_caller_identity.current.account_id
  region       = data.aws_region.current.name
  partition    = data.aws_partition.current.partition
  clusters     = var.clusters
  repositories = var.repositories
  parameters   = var.parameters
  secret_names = var.secret_names
  files        = var.files
  environments = []
  triggers = merge(var.triggers, {
    image_ready = false, service_deploys = false, deploy_requests = false, decisions = false
  })
}


resource "aws_cloudwatch_event_rule" "this" {
  for_each = module.patterns.rules

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = each.value.pattern
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value.pattern) <= 2048
      error_message = "The pattern of ${each.key} is longer than EventBridge's 2,048 characters: say more with `*`."
    }
  }
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = module.patterns.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "bus"
  arn       = var.bus_arn
  role_arn  = aws_iam_role.forward.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_iam_role_policy.forward, aws_sqs_queue_policy.undelivered]
}

resource "aws_iam_role" "forward" {
  name        = "${var.name}-${data.aws_region.current.name}"
  description = "By which the rules put events on Lockkeeper's bus"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { ArnEquals = { "aws:SourceArn" = sort([for rule in aws_cloudwatch_event_rule.this : rule.arn]) } }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "forward" {
  name = "forward"
  role = aws_iam_role.forward.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["events:PutEvents"], Resource = [var.bus_arn] }]
  })
}

# What could not be forwarded.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.undelivered.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OurRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.undelivered.arn
        Condition = { ArnEquals = { "aws:SourceArn" = sort([for rule in aws_cloudwatch_event_rule.this : rule.arn]) } }
      },
    ]
  })
}

output "undelivered_queue_url" {
  description = "What could not be forwarded: it should be empty."
  value       = aws_sqs_queue.undelivered.id
}

output "rule_arns" {
  description = "The rules, by trigger."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
}

output "role_arn" {
  description = "The role by which they forward."
  value       = aws_iam_role.forward.arn
}
