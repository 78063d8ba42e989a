locals {
  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "${local.ecs_arn}:*" }
      }
    }]
  })

  # Account, Region and repository of an image in ECR; empty for any other registry. Its hosts are
  # `111122223333.dkr.ecr.eu-west-1.amazonaws.com` (each partition has an end of its own), in dual stack
  # `111122223333.dkr-ecr.eu-west-1.on.aws`; with FIPS, `ecr-fips`.
  ecr_image = try(regex("^(?P<account>[0-9]{12})\\.dkr[.-]ecr(?:-fips)?\\.(?P<region>[a-z0-9-]+)\\.[a-z0-9.-]+/(?P<repository>[^:@]+)", local.image), null)
  ecr_image_arns = var.image == null ? aws_ecr_repository.this[*].arn : local.ecr_image == null ? [] : [
    "arn:${local.partition}:ecr:${local.ecr_image.region}:${local.ecr_image.account}:repository/${local.ecr_image.repository}"
  ]

  # To read the queue takes the first, to put something on it both: of the daemon, and of the rules that send by a role.
  use_queue_keys = {
    Sid       = "ReadAndSendUnderAKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.queue_kms_key_arns
    Condition = { StringLike = { "kms:ViaService" = "sqs.*.amazonaws.com*" } }
  }

  parameter_arns = sort(distinct([for arn in values(var.secrets) : arn if strcontains(arn, ":ssm:")]))
  # An ECS secret may name a JSON key and a version behind the ARN; a policy may not.
  secret_arns = sort(distinct([for arn in values(var.secrets) : join(":", slice(split(":", arn), 0, 7)) if strcontains(arn, ":secretsmanager:")]))
}

# ---------------------------------------------------------------- what ECS needs to start the task

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Starts Lockkeeper: image, log, secrets"
  assume_role_policy = local.assumed_by_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      },
      {
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = local.ecr_image == null && var.image != null ? [] : ["*"]
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.ecr_image_arns
      },
      {
        Sid      = "ReadParameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameters"]
        Resource = local.parameter_arns
      },
      {
        Sid      = "ReadSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = local.secret_arns
      },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.secrets_kms_key_arns
      },
    ] : s if length(s.Resource) > 0]
  })
}

# ---------------------------------------------------------------- what the daemon may do

module "permissions" {
  source = "./modules/permissions"

  account        = local.account
  partition      = local.partition
  regions        = distinct(concat([local.region], var.regions))
  clusters       = var.clusters
  task_families  = var.task_families
  pass_role_arns = var.pass_role_arns
  discovery      = var.discovery
  reconcile      = var.reconcile
  repositories   = var.repositories
  parameters     = var.parameters
  secret_names   = var.secret_names
  buckets        = var.files[*].bucket
}

locals {
  # Whether the settings that are seen here leave `rollback` on for whoever does not say otherwise: in `[defaults]`, or as a variable.
  rollback = lookup(var.environment, "LOCKKEEPER__DEFAULTS__ROLLBACK", "true") != "false" && !can(regex(
    "(?m)^[ \\t]*\\[defaults\\][^\\n]*\\n(?:[ \\t]*(?:[^\\[ \\t\\n][^\\n]*)?\\n)*[ \\t]*rollback[ \\t]*=[ \\t]*false", var.settings_toml
  ))
}

# Where only services of other accounts are deployed, `modules/target-account` says it there.
check "going_back" {
  assert {
    condition     = !local.rollback || module.permissions.registers || length(var.account_role_arns) > 0
    error_message = module.permissions.registers_nothing
  }
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "Lockkeeper: its queues, and the services that it deploys"
  assume_role_policy = local.assumed_by_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name = "deploy"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([for s in [
      {
        # Of the dead-letter queue to show letters, and to put them back, over HTTP.
        Sid      = "Receive"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        Resource = [local.queue.arn, local.dead_letters.arn]
      },
      {
        # Attributes tell the depth of both, and where the redrive policy leads.
        Sid      = "SetAsideAndRenew"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
        Resource = [local.queue.arn, local.dead_letters.arn]
      },
      {
        # The redrive policy names an ARN; what is sent to is a URL.
        Sid      = "FindDeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueUrl"]
        Resource = [local.dead_letters.arn]
      },
      {
        Sid      = "HoldTheLease"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.lease[*].arn
      },
      {
        Sid      = "DeployInOtherAccounts"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = var.account_role_arns
      },
      {
        Sid      = "TellABus"
        Effect   = "Allow"
        Action   = ["events:PutEvents"]
        Resource = var.notify_bus_arns
      },
      {
        Sid      = "TellATopic"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = var.notify_topic_arns
      },
      local.use_queue_keys,
      {
        Sid       = "PublishUnderAKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.notify_kms_key_arns
        Condition = { StringLike = { "kms:ViaService" = "sns.*.amazonaws.com*" } }
      },
    ] : s if length(s.Resource) > 0], module.permissions.statements)
  })
}
