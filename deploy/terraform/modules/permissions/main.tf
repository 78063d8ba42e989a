# What Lockkeeper calls in an account whose services it deploys, as statements of a policy. Makes no resource: in its own
# account they belong to the task's role, in another one to the role that it assumes there.

terraform {
  required_version = ">= 1.7"
}

locals {
  # One per Region.
  ecs_arns = [for r in var.regions : "arn:${var.partition}:ecs:${r}:${var.account}"]

  cluster_arns = [for p in setproduct(local.ecs_arns, var.clusters) : "${p[0]}:cluster/${p[1]}"]
  service_arns = [for p in setproduct(local.ecs_arns, var.clusters) : "${p[0]}:service/${p[1]}/*"]
  rollout_arns = flatten([for p in setproduct(local.ecs_arns, var.clusters) : [
    "${p[0]}:service/${p[1]}/*", "${p[0]}:service-deployment/${p[1]}/*", "${p[0]}:service-revision/${p[1]}/*",
  ]])
  task_arns   = [for p in setproduct(local.ecs_arns, var.clusters) : "${p[0]}:task/${p[1]}/*"]
  family_arns = [for p in setproduct(local.ecs_arns, coalesce(var.task_families, ["*"])) : "${p[0]}:task-definition/${p[1]}:*"]
  # A definition names the roles of its tasks, so whoever may pass none registers none, unless families are named.
  registered_arns = var.task_families == null && length(var.pass_role_arns) == 0 ? [] : local.family_arns

  watched_repository_arns = [
    for p in setproduct(var.regions, var.repositories) : "arn:${var.partition}:ecr:${p[0]}:${var.account}:repository/${p[1]}"
  ]
  # Behind the name stand a hyphen and six characters.
  watched_secret_arns = [
    for p in setproduct(var.regions, var.secret_names) : "arn:${var.partition}:secretsmanager:${p[0]}:${var.account}:secret:${p[1]}-??????"
  ]
  watched_bucket_arns = [for b in var.buckets : "arn:${var.partition}:s3:::${b}"]

  statements = [
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
      # A pause, a hold and whose it is are tags on the service.
      Sid       = "MarkServices"
      Effect    = "Allow"
      Action    = ["ecs:TagResource", "ecs:UntagResource"]
      Resource  = local.service_arns
      Condition = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["lockkeeper:*"] } }
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
      Resource = local.registered_arns
    },
    {
      Sid       = "TagNewDefinitions"
      Effect    = "Allow"
      Action    = ["ecs:TagResource"]
      Resource  = local.registered_arns
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
  ]
}
