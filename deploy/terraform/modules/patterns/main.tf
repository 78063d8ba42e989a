# Every event pattern that brings an event to the queue. Patterns are as tight as the variables allow: each event that a
# rule lets through is a message to receive, judge and delete. Makes no resource, so that the account that Lockkeeper lives
# in and those that forward to it have the same patterns.

terraform {
  required_version = ">= 1.7"
}

locals {
  ecs_arn    = "arn:${var.partition}:ecs:${var.region}:${var.account}"
  ecr_arn    = "arn:${var.partition}:ecr:${var.region}:${var.account}:repository/"
  secret_arn = "arn:${var.partition}:secretsmanager:${var.region}:${var.account}:secret:"

  repository_arns = [for r in var.repositories : "${local.ecr_arn}${r}"]

  # A call may name a secret by its name, by its ARN, or by its ARN without the six characters that AWS appends.
  secret_ids = distinct(flatten([
    for s in var.secret_names : [s, "${local.secret_arn}${s}", endswith(s, "*") ? [] : ["${local.secret_arn}${s}-*"]]
  ]))

  # The matcher for each `*` pattern. Kept as JSON, because a map cannot hold both strings and objects.
  matchers = {
    for glob in toset(concat(
      var.repositories, local.repository_arns, var.parameters, var.secret_names, local.secret_ids, flatten(var.files[*].keys)
    )) :
    glob => (
      can(regex("^[^*]+\\*$", glob)) ? jsonencode({ prefix = trimsuffix(glob, "*") }) :
      strcontains(glob, "*") ? jsonencode({ wildcard = glob }) :
      jsonencode(glob)
    )
  }

  # Each is an object with one key, or with none where everything matches: a pattern says nothing about what it accepts.
  by_repository     = { for k in ["repository-name"] : k => [for r in var.repositories : jsondecode(local.matchers[r])] if !contains(var.repositories, "*") }
  by_repository_arn = { for k in ["repository-name"] : k => [for r in local.repository_arns : jsondecode(local.matchers[r])] }
  by_parameter      = { for k in ["name"] : k => [for p in var.parameters : jsondecode(local.matchers[p])] if !contains(var.parameters, "*") }
  by_secret_name    = { for k in ["name"] : k => [for s in var.secret_names : jsondecode(local.matchers[s])] if !contains(var.secret_names, "*") }
  by_secret_id      = { for k in ["requestParameters"] : k => { secretId = [for s in local.secret_ids : jsondecode(local.matchers[s])] } if !contains(var.secret_names, "*") }
  by_rotated_id     = { for k in ["additionalEventData"] : k => { SecretId = [for s in local.secret_ids : jsondecode(local.matchers[s])] } if !contains(var.secret_names, "*") }

  # One alternative per bucket, so that one bucket's keys are not looked for in another.
  by_object = [
    for f in var.files : merge(
      { bucket = { name = [f.bucket] } },
      { for k in ["object"] : k => { key = [for g in f.keys : jsondecode(local.matchers[g])] } if !contains(f.keys, "*") },
    )
  ]
  by_object_call = [
    for f in var.files : { requestParameters = merge(
      { bucketName = [f.bucket] },
      { for k in ["key"] : k => [for g in f.keys : jsondecode(local.matchers[g])] if !contains(f.keys, "*") },
    ) }
  ]
  # EventBridge refuses a list of alternatives that has fewer than two. Kept as JSON: the two have different types.
  by_objects      = jsondecode(length(var.files) == 1 ? jsonencode(local.by_object[0]) : jsonencode({ "$or" = local.by_object }))
  by_object_calls = jsondecode(length(var.files) == 1 ? jsonencode(local.by_object_call[0]) : jsonencode({ "$or" = local.by_object_call }))

  cluster_arns     = [for c in var.clusters : "${local.ecs_arn}:cluster/${c}"]
  service_prefixes = [for c in var.clusters : { prefix = "${local.ecs_arn}:service/${c}/" }]

  asks    = lookup(var.triggers, "requests", true)
  a_tag   = [{ "anything-but" = [""] }]
  no_fail = [{ exists = false }]

  rules = {
    image-pushes = {
      enabled     = var.triggers["image_pushes"] && length(var.repositories) > 0
      description = "A tagged image was pushed"
      pattern = {
        source        = ["aws.ecr"]
        "detail-type" = ["ECR Image Action"]
        detail = merge({
          "action-type" = ["PUSH"]
          result        = ["SUCCESS"]
          # Child manifests and attestations are pushed without a tag, which ECR tells as an empty one.
          "image-tag" = local.a_tag
        }, local.by_repository)
      }
    }
    image-replications = {
      enabled     = var.triggers["image_replications"] && length(var.repositories) > 0
      description = "A tagged image arrived from another Region or account"
      pattern = {
        source        = ["aws.ecr"]
        "detail-type" = ["ECR Replication Action"]
        detail = merge({
          "action-type" = ["REPLICATE"]
          result        = ["SUCCESS"]
          "image-tag"   = local.a_tag
        }, local.by_repository)
      }
    }
    image-removals = {
      enabled     = var.triggers["image_removals"] && length(var.repositories) > 0
      description = "An image was deleted or archived"
      pattern = {
        source        = ["aws.ecr"]
        "detail-type" = ["ECR Image Action"]
        detail        = merge({ "action-type" = ["DELETE", "UPDATE_STORAGE_CLASS"], result = ["SUCCESS"] }, local.by_repository)
      }
    }
    image-scans-basic = {
      enabled     = var.triggers["image_scans"] && length(var.repositories) > 0
      description = "A basic image scan ended"
      pattern = {
        source        = ["aws.ecr"]
        "detail-type" = ["ECR Image Scan"]
        detail        = merge({ "scan-status" = ["COMPLETE", "FAILED"] }, local.by_repository)
      }
    }
    image-scans-enhanced = {
      enabled     = var.triggers["image_scans"] && length(var.repositories) > 0
      description = "The first enhanced image scan ended"
      pattern = {
        source        = ["aws.inspector2"]
        "detail-type" = ["Inspector2 Scan"]
        # Here, unlike in ECR's own events, repository-name is an ARN.
        detail = merge({ "scan-status" = ["INITIAL_SCAN_COMPLETE"] }, local.by_repository_arn)
      }
    }
    parameters = {
      enabled     = var.triggers["parameters"] && length(var.parameters) > 0
      description = "An SSM parameter was changed"
      pattern = {
        source        = ["aws.ssm"]
        "detail-type" = ["Parameter Store Change"]
        detail = merge({
          operation = ["Create", "Update", "Delete"]
          # Set where an asynchronous creation failed.
          exception = local.no_fail
        }, local.by_parameter)
      }
    }
    secrets = {
      enabled     = var.triggers["secrets"] && length(var.secret_names) > 0
      description = "A secret has a new current version"
      pattern = {
        source        = ["aws.secretsmanager"]
        "detail-type" = ["Secret Label Updated"]
        detail        = merge({ labelUpdated = ["AWSCURRENT"] }, local.by_secret_name)
      }
    }
    secrets-cloudtrail = {
      enabled     = var.triggers["secrets_cloudtrail"] && length(var.secret_names) > 0
      description = "A secret was changed, rotated or deleted, as CloudTrail tells it"
      pattern = {
        source        = ["aws.secretsmanager"]
        "detail-type" = ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"]
        detail = {
          eventSource = ["secretsmanager.amazonaws.com"]
          errorCode   = local.no_fail
          "$or" = [
            merge({ eventName = ["PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "DeleteSecret", "RestoreSecret"] }, local.by_secret_id),
            merge({ eventName = ["RotationSucceeded"] }, local.by_rotated_id),
          ]
        }
      }
    }
    files = {
      enabled     = var.triggers["files"] && length(var.files) > 0
      description = "An environment file was written or deleted"
      pattern = {
        source        = ["aws.s3"]
        "detail-type" = ["Object Created", "Object Deleted"]
        detail        = local.by_objects
      }
    }
    files-cloudtrail = {
      enabled     = var.triggers["files_cloudtrail"] && length(var.files) > 0
      description = "An environment file was written or deleted, as CloudTrail tells it"
      pattern = {
        source        = ["aws.s3"]
        "detail-type" = ["AWS API Call via CloudTrail"]
        detail = merge({
          eventSource = ["s3.amazonaws.com"]
          # A large file ends with CompleteMultipartUpload, and has no PutObject.
          eventName = ["PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"]
          errorCode = local.no_fail
        }, local.by_object_calls)
      }
    }
    image-ready = {
      enabled     = var.triggers["image_ready"]
      requests    = true
      description = "A CI system says that an image is ready"
      pattern = {
        source        = ["github.actions"]
        "detail-type" = [{ "equals-ignore-case" = "Deployment Ready" }]
      }
    }
    service-deploys = {
      enabled     = local.asks && var.triggers["service_deploys"]
      requests    = true
      description = "A CI system asks for a deployment"
      pattern = {
        source = jsondecode(length(var.environments) > 0
          ? jsonencode([for e in var.environments : "github.actions.${e}"])
        : jsonencode([{ prefix = "github.actions." }]))
        "detail-type" = [{ "equals-ignore-case" = "SERVICE_DEPLOY" }]
      }
    }
    deploy-requests = {
      enabled     = local.asks && var.triggers["deploy_requests"]
      requests    = true
      description = "A person or script asks for a deployment"
      # Emitters in the field send any detail-type, and no project or environment: nothing more can be asked for here.
      pattern = { source = ["action.production", "action.deploy"] }
    }
    decisions = {
      enabled     = var.triggers["decisions"]
      requests    = true
      description = "Somebody approves, rejects, cancels, pauses or resumes"
      pattern = {
        source        = ["lockkeeper.decision"]
        "detail-type" = ["Approve", "Reject", "Cancel", "Pause", "Resume"]
      }
    }
    rollouts = {
      enabled     = var.triggers["rollouts"]
      description = "A rollout began, ended or failed"
      pattern = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Deployment State Change"]
        # Its detail has no cluster: the service's ARN stands in resources alone.
        resources = local.service_prefixes
      }
    }
    service-actions = {
      enabled     = var.triggers["service_actions"]
      description = "ECS warns about a service"
      pattern = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Service Action"]
        detail = {
          clusterArn = local.cluster_arns
          # Sent again and again while nothing happens.
          eventName = [{ "anything-but" = ["SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE", "CAPACITY_PROVIDER_STEADY_STATE"] }]
        }
      }
    }
    hooks = {
      enabled     = var.triggers["hooks"]
      description = "A rollout waits at a hook"
      pattern = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Hook State Change"]
        detail        = { clusterArn = local.cluster_arns }
      }
    }
    stopped-tasks = {
      enabled     = var.triggers["stopped_tasks"]
      description = "A service's task stopped"
      pattern = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Task State Change"]
        detail = {
          clusterArn = local.cluster_arns
          lastStatus = ["STOPPED"]
          group      = [{ prefix = "service:" }]
        }
      }
    }
  }
}
