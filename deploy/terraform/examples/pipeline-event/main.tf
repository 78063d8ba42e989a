# Deploys a service when a pipeline of SageMaker Unified Studio has deployed: an event that Lockkeeper knows nothing of.
# The rule's input transformer writes it as a deploy request (`request.json`) with fields of the event in it (`paths.json`).
# The same way leads from any other event to a deployment.

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
}

variable "region" {
  description = "Region of the queue, and of the bus that the event arrives on."
  type        = string
  default     = "eu-west-1"
}

variable "queue_arn" {
  description = "Lockkeeper's queue: the module's output `queue_arn`."
  type        = string
}

variable "undelivered_queue_arn" {
  description = "Where EventBridge puts what it could not deliver; null: it is dropped."
  type        = string
  default     = null
}

variable "bus_name" {
  description = "The bus that the event arrives on."
  type        = string
  default     = "default"
}

resource "aws_cloudwatch_event_rule" "pipeline" {
  name           = "lockkeeper-pipeline"
  description    = "A pipeline has deployed, and so does Lockkeeper"
  event_bus_name = var.bus_name

  event_pattern = jsonencode({
    source        = ["com.amazon.smus.cicd"]
    "detail-type" = ["SMUS-CICD-Deploy-Completed"]
    detail = {
      pipelineName = ["acme-reports"]
      target       = { name = ["prod"] }
      # A field that is absent would be written as an empty text, and an empty tag is malformed.
      metadata = { gitCommit = [{ exists = true }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "request" {
  rule           = aws_cloudwatch_event_rule.pipeline.name
  event_bus_name = var.bus_name
  target_id      = "lockkeeper"
  arn            = var.queue_arn
  role_arn       = aws_iam_role.send.arn

  input_transformer {
    input_paths    = jsondecode(file("${path.module}/paths.json"))
    input_template = file("${path.module}/request.json")
  }

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = var.undelivered_queue_arn[*]

    content {
      arn = dead_letter_config.value
    }
  }
}

# The queue's policy names the module's own rules only. This one sends by a role instead.
resource "aws_iam_role" "send" {
  name = "lockkeeper-pipeline"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.pipeline.arn } }
    }]
  })
}

resource "aws_iam_role_policy" "send" {
  name = "send"
  role = aws_iam_role.send.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sqs:SendMessage", Resource = var.queue_arn }]
  })
}
