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

  # Account, Region and repository of an image in ECR; empty for any other registry.
  ecr_image = try(regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr(?:-fips)?\\.(?P<region>[a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/(?P<repository>[^:@]+)", var.image), null)
  ecr_image_arns = local.ecr_image == null ? [] : [
    "arn:${local.partition}:ecr:${local.ecr_image.region}:${local.ecr_image.account}:repository/${local.ecr_image.repository}"
  ]

  parameter_arns = sort(distinct([for arn in values(var.secrets) : arn if strcontains(arn, ":ssm:")]))
  # An ECS secret may name a JSON key and a version behind the ARN; a policy may not.
  secret_arns = sort(distinct([for arn in values(var.secrets) : join(":", slice(split(":", arn), 0, 7)) if strcontains(arn, ":secretsmanager:")]))

  service_arns = [for c in var.clusters : "${local.ecs_arn}:service/${c}/*"]
  rollout_arns = flatten([for c in var.clusters : [
    "${local.ecs_arn}:service/${c}/*", "${local.ecs_arn}:service-deployment/${c}/*", "${local.ecs_arn}:service-revision/${c}/*",
  ]])
  task_arns   = [for c in var.clusters : "${local.ecs_arn}:task/${c}/*"]
  family_arns = [for f in var.task_families : "${local.ecs_arn}:task-definition/${f}:*"]

  watched_repository_arns = [for r in var.repositories : "${local.ecr_arn}${r}"]
  # Behind the name stand a hyphen and six characters.
  watched_secret_arns = [for s in var.secret_names : "${local.secret_arn}${s}-??????"]
  watched_bucket_arns = [for f in var.files : "arn:${local.partition}:s3:::${f.bucket}"]
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
        Resource = local.ecr_image == null ? [] : ["*"]
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
    Statement = [for s in [
      {
        Sid      = "Receive"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        Resource = [aws_sqs_queue.main.arn]
      },
      {
        # Attributes tell the depth of both, and where the redrive policy leads.
        Sid      = "SetAsideAndRenew"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
        Resource = [aws_sqs_queue.main.arn, aws_sqs_queue.dead_letters.arn]
      },
      {
        # The redrive policy names an ARN; what is sent to is a URL.
        Sid      = "FindDeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueUrl"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
      {
        Sid      = "HoldTheLease"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.lease[*].arn
      },
      {
        Sid      = "ReadAndUpdateServices"
        Effect   = "Allow"
        Action   = ["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"]
        Resource = local.service_arns
      },
      {
        Sid      = "WatchAndStopRollouts"
        Effect   = "Allow"
        Action   = ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions", "ecs:StopServiceDeployment"]
        Resource = local.rollout_arns
      },
      {
        Sid      = "ReadTasks"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTasks"]
        Resource = local.task_arns
      },
      {
        # Takes no task or service as its resource: the cluster is a condition.
        Sid       = "ListTasks"
        Effect    = "Allow"
        Action    = ["ecs:ListTasks"]
        Resource  = ["*"]
        Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arns } }
      },
      {
        # Takes no resource at all.
        Sid      = "ListClusters"
        Effect   = "Allow"
        Action   = ["ecs:ListClusters"]
        Resource = var.discovery ? ["*"] : []
      },
      {
        # Takes no service as its resource: the cluster is a condition.
        Sid       = "ListServices"
        Effect    = "Allow"
        Action    = ["ecs:ListServices"]
        Resource  = var.discovery ? ["*"] : []
        Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arns } }
      },
      {
        Sid      = "ReadClusters"
        Effect   = "Allow"
        Action   = ["ecs:DescribeClusters"]
        Resource = var.discovery ? local.cluster_arns : []
      },
      {
        # What was pushed and written while its event was lost: times and digests, no value and no layer.
        Sid      = "ReadImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:DescribeImages"]
        Resource = var.reconcile ? local.watched_repository_arns : []
      },
      {
        # Takes no parameter as its resource.
        Sid      = "ReadTimesOfParameters"
        Effect   = "Allow"
        Action   = ["ssm:DescribeParameters"]
        Resource = var.reconcile && length(var.parameters) > 0 ? ["*"] : []
      },
      {
        Sid      = "ReadVersionsOfSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:ListSecretVersionIds"]
        Resource = var.reconcile ? local.watched_secret_arns : []
      },
      {
        Sid      = "ReadTimesOfFiles"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = var.reconcile ? local.watched_bucket_arns : []
      },
      {
        Sid      = "DeployInOtherAccounts"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = var.account_role_arns
      },
      {
        # Takes no resource at all.
        Sid      = "ReadDefinitions"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTaskDefinition"]
        Resource = ["*"]
      },
      {
        Sid      = "RegisterDefinitions"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition"]
        Resource = local.family_arns
      },
      {
        Sid       = "TagNewDefinitions"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = local.family_arns
        Condition = { StringEquals = { "ecs:CreateAction" = "RegisterTaskDefinition" } }
      },
      {
        # A service that is moved to a definition that exists: the definition is marked with the version of the request.
        Sid       = "MarkDefinitions"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = local.family_arns
        Condition = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["lockkeeper:*"] } }
      },
      {
        Sid       = "PassRolesOfDefinitions"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = var.pass_role_arns
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ] : s if length(s.Resource) > 0]
  })
}
