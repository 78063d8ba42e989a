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

override_resource {
  target = aws_sqs_queue.dead_letters[0]
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-dead" }
}

override_resource {
  target = aws_sqs_queue.undelivered
  values = { arn = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-undelivered" }
}

override_resource {
  target = aws_cloudwatch_event_rule.this["hooks"]
  values = { arn = "arn:aws:events:eu-west-1:111122223333:rule/lockkeeper-hooks" }
}

override_resource {
  target = aws_cloudwatch_event_rule.this["rollouts"]
  values = { arn = "arn:aws:events:eu-west-1:111122223333:rule/lockkeeper-rollouts" }
}

variables {
  image        = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/tools/lockkeeper:1.0.0"
  vpc_id       = "vpc-1"
  subnet_ids   = ["subnet-1"]
  clusters     = ["shop-prod"]
  repositories = []
  parameters   = []
  secret_names = []
  triggers     = { image_ready = false, service_deploys = false, deploy_requests = false, service_actions = false, stopped_tasks = false }

  settings_toml = "[defaults]\nrollback = false\n\n[[target]]\nname = \"api\"\n"
}

run "queues" {
  command = apply

  assert {
    condition = jsondecode(aws_sqs_queue.main[0].redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-dead"
      maxReceiveCount     = 100
    }
    error_message = aws_sqs_queue.main[0].redrive_policy
  }
  assert {
    condition = alltrue([for q in [aws_sqs_queue.main[0], aws_sqs_queue.dead_letters[0], aws_sqs_queue.undelivered] :
    q.sqs_managed_sse_enabled && q.message_retention_seconds == 1209600])
    error_message = "a queue is not encrypted, or forgets before 14 days"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters[0].redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-west-1:111122223333:lockkeeper"]
    error_message = "another queue may use the dead-letter queue"
  }
  assert {
    condition     = alltrue([for t in aws_cloudwatch_event_target.this : t.arn == aws_sqs_queue.main[0].arn && t.dead_letter_config[0].arn == aws_sqs_queue.undelivered.arn])
    error_message = "a target does not reach the queue, or loses what it cannot deliver"
  }
}

run "only_the_rules_may_send" {
  command = apply

  assert {
    condition = alltrue([for name in ["main", "undelivered"] :
      [for s in jsondecode(aws_sqs_queue_policy.this[name].policy).Statement : s if s.Effect == "Allow"] == [{
        Sid       = "OurRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = name == "main" ? aws_sqs_queue.main[0].arn : aws_sqs_queue.undelivered.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [
          "arn:aws:events:eu-west-1:111122223333:rule/lockkeeper-hooks",
          "arn:aws:events:eu-west-1:111122223333:rule/lockkeeper-rollouts",
        ] } }
    }]])
    error_message = aws_sqs_queue_policy.this["main"].policy
  }
  assert {
    condition     = [for s in jsondecode(aws_sqs_queue_policy.this["dead_letters"].policy).Statement : s.Effect] == ["Deny"]
    error_message = aws_sqs_queue_policy.this["dead_letters"].policy
  }
  assert {
    condition = alltrue([for p in aws_sqs_queue_policy.this : contains([
      for s in jsondecode(p.policy).Statement : s.Effect == "Deny" && s.Condition == { Bool = { "aws:SecureTransport" = "false" } }
    ], true)])
    error_message = "a queue takes unencrypted connections"
  }
}

run "no_rules_no_permission" {
  command = apply

  variables {
    triggers = {
      image_ready = false, service_deploys = false, deploy_requests = false, service_actions = false, stopped_tasks = false
      hooks       = false, rollouts = false
    }
  }

  assert {
    condition     = alltrue(flatten([for p in aws_sqs_queue_policy.this : [for s in jsondecode(p.policy).Statement : s.Effect == "Deny"]]))
    error_message = "somebody may send although there is no rule"
  }
}

run "the_daemon_may_do_what_it_does_and_no_more" {
  command = apply

  variables {
    task_families  = ["shop_*"]
    pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
  }

  assert {
    condition = toset(flatten(jsondecode(aws_iam_role_policy.task.policy).Statement[*].Action)) == toset([
      "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions", "ecs:DescribeServices", "ecs:DescribeTaskDefinition",
      "ecs:DescribeTasks", "ecs:ListServiceDeployments", "ecs:ListTasks", "ecs:RegisterTaskDefinition",
      "ecs:StopServiceDeployment", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateService", "iam:PassRole",
      "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SendMessage",
    ])
    error_message = join(", ", sort(flatten(jsondecode(aws_iam_role_policy.task.policy).Statement[*].Action)))
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => s.Resource } == {
      Receive               = ["arn:aws:sqs:eu-west-1:111122223333:lockkeeper", "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-dead"]
      SetAsideAndRenew      = ["arn:aws:sqs:eu-west-1:111122223333:lockkeeper", "arn:aws:sqs:eu-west-1:111122223333:lockkeeper-dead"]
      FindDeadLetters       = ["arn:aws:sqs:eu-west-1:111122223333:lockkeeper-dead"]
      ReadAndUpdateServices = ["arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/*"]
      WatchAndStopRollouts = [
        "arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/*",
        "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop-prod/*",
        "arn:aws:ecs:eu-west-1:111122223333:service-revision/shop-prod/*",
      ]
      MarkServices           = ["arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/*"]
      ReadTasks              = ["arn:aws:ecs:eu-west-1:111122223333:task/shop-prod/*"]
      ListTasks              = ["*"]
      ReadDefinitions        = ["*"]
      RegisterDefinitions    = ["arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_*:*"]
      TagNewDefinitions      = ["arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_*:*"]
      MarkDefinitions        = ["arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_*:*"]
      PassRolesOfDefinitions = ["arn:aws:iam::111122223333:role/shop-task"]
    }
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => s.Condition if can(s.Condition) } == {
      ListTasks              = { ArnEquals = { "ecs:cluster" = ["arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod"] } }
      MarkServices           = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["lockkeeper:*"] } }
      TagNewDefinitions      = { StringEquals = { "ecs:CreateAction" = "RegisterTaskDefinition" } }
      MarkDefinitions        = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["lockkeeper:*"] } }
      PassRolesOfDefinitions = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    }
    error_message = aws_iam_role_policy.task.policy
  }
}

run "what_discovery_and_other_accounts_need_is_allowed_only_for_them" {
  command = apply

  variables {
    discovery         = true
    account_role_arns = ["arn:aws:iam::444455556666:role/lockkeeper-target"]
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => [s.Action, s.Resource]
      if contains(["ListClusters", "ListServices", "ReadClusters", "DeployInOtherAccounts"], s.Sid)
      } == {
      ListClusters          = [["ecs:ListClusters"], ["*"]]
      ListServices          = [["ecs:ListServices"], ["*"]]
      ReadClusters          = [["ecs:DescribeClusters"], ["arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod"]]
      DeployInOtherAccounts = [["sts:AssumeRole"], ["arn:aws:iam::444455556666:role/lockkeeper-target"]]
    }
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = one([
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Condition if s.Sid == "ListServices"
    ]) == { ArnEquals = { "ecs:cluster" = ["arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod"] } }
    error_message = aws_iam_role_policy.task.policy
  }
}

run "what_changed_may_be_read_only_where_it_is_watched" {
  command = apply

  variables {
    repositories = ["shop_*"]
    parameters   = []
    secret_names = ["shop/*"]
    files        = [{ bucket = "shop-env", keys = ["*.env"] }]
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => s.Resource
      if contains(["ReadImages", "ReadTimesOfParameters", "ReadVersionsOfSecrets", "ReadTimesOfFiles"], s.Sid)
      } == {
      ReadImages            = ["arn:aws:ecr:eu-west-1:111122223333:repository/shop_*"]
      ReadVersionsOfSecrets = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/*-??????"]
      ReadTimesOfFiles      = ["arn:aws:s3:::shop-env"]
    }
    error_message = aws_iam_role_policy.task.policy
  }
}

run "nothing_that_changed_is_read_without_reconcile" {
  command = apply

  variables {
    reconcile = false
    files     = [{ bucket = "shop-env" }]
  }

  assert {
    condition     = length(regexall("\"(ecr|ssm|secretsmanager|s3):", aws_iam_role_policy.task.policy)) == 0
    error_message = aws_iam_role_policy.task.policy
  }
}

run "no_definition_is_registered_and_no_role_passed_unless_roles_are_named" {
  command = apply

  assert {
    condition     = !strcontains(aws_iam_role_policy.task.policy, "ecs:RegisterTaskDefinition")
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => s.Condition if strcontains(join(" ", s.Resource), ":task-definition/") } == {
      MarkDefinitions = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["lockkeeper:*"] } }
    }
    error_message = aws_iam_role_policy.task.policy
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.task.policy, "iam:PassRole")
    error_message = aws_iam_role_policy.task.policy
  }
}

run "without_roles_the_plan_says_that_nothing_goes_back" {
  command = plan

  variables {
    # Of one target is not of all.
    settings_toml = "[defaults]\nignore_tags = [\n  \"pr-*\",\n]\n\n[[target]]\nname = \"api\"\nrollback = false\n"
  }

  expect_failures = [check.going_back]
}

run "with_no_family_it_is_said_as_well" {
  command = plan

  variables {
    settings_toml = "[[target]]\nname = \"api\"\n"
    task_families = []
  }

  expect_failures = [check.going_back]
}

run "nothing_is_said_where_the_services_are_elsewhere" {
  command = plan

  variables {
    settings_toml     = "[[target]]\nname = \"api\"\n"
    account_role_arns = ["arn:aws:iam::444455556666:role/lockkeeper-target"]
  }

  assert {
    condition     = length(module.permissions.statements) > 0
    error_message = "there are no statements"
  }
}

run "a_variable_switches_it_off_as_well" {
  command = plan

  variables {
    settings_toml = "[[target]]\nname = \"api\"\n"
    environment   = { LOCKKEEPER__DEFAULTS__ROLLBACK = "false" }
  }

  assert {
    condition     = !local.rollback
    error_message = "rollback is taken to be on"
  }
}

run "it_is_off_by_the_defaults_of_the_settings_after_other_lines" {
  command = plan

  variables {
    settings_toml = "[http]\nreads = \"token\"\n\n[defaults] # of all\nignore_tags = [\n  \"pr-*\",\n]\n\n  rollback = false\n\n[[target]]\nname = \"api\"\n"
  }

  assert {
    condition     = !local.rollback
    error_message = "rollback is taken to be on"
  }
}

run "an_image_by_the_host_of_dual_stack_may_be_pulled" {
  command = apply

  variables {
    image = "111122223333.dkr-ecr.eu-west-1.on.aws/tools/lockkeeper:1.0.0"
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Sid => s.Resource
      if contains(["PullImage", "RegistryLogin"], s.Sid)
    } == { PullImage = ["arn:aws:ecr:eu-west-1:111122223333:repository/tools/lockkeeper"], RegistryLogin = ["*"] }
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "an_image_by_the_host_of_dual_stack_with_fips_may_be_pulled" {
  command = apply

  variables {
    image = "111122223333.dkr-ecr-fips.us-east-1.on.aws/tools/lockkeeper:1.0.0"
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Sid => s.Resource
      if contains(["PullImage", "RegistryLogin"], s.Sid)
    } == { PullImage = ["arn:aws:ecr:us-east-1:111122223333:repository/tools/lockkeeper"], RegistryLogin = ["*"] }
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "an_image_of_the_sovereign_cloud_may_be_pulled" {
  command = apply

  variables {
    image = "111122223333.dkr.ecr.eusc-de-east-1.amazonaws.eu/tools/lockkeeper:1.0.0"
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Sid => s.Resource
      if contains(["PullImage", "RegistryLogin"], s.Sid)
    } == { PullImage = ["arn:aws:ecr:eusc-de-east-1:111122223333:repository/tools/lockkeeper"], RegistryLogin = ["*"] }
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "starting_reads_one_image_one_log_and_the_secrets_named" {
  command = apply

  variables {
    secrets = {
      LOCKKEEPER__HTTP__TOKENS = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:lockkeeper/tokens-AbCdEf:json-key::"
      SLACK_WEBHOOK_URL        = "arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack"
    }
  }

  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Sid => s.Resource } == {
      Log            = ["arn:aws:logs:eu-west-1:111122223333:log-group:/lockkeeper/lockkeeper:*"]
      RegistryLogin  = ["*"]
      PullImage      = ["arn:aws:ecr:eu-west-1:111122223333:repository/tools/lockkeeper"]
      ReadParameters = ["arn:aws:ssm:eu-west-1:111122223333:parameter/lockkeeper/slack"]
      ReadSecrets    = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:lockkeeper/tokens-AbCdEf"]
    }
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "another_registry_needs_no_permission" {
  command = apply

  variables {
    image = "registry.example.com/lockkeeper:1.0.0"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[*].Sid == ["Log"]
    error_message = aws_iam_role_policy.execution.policy
  }
}

run "a_role_named_by_a_star_is_refused" {
  command = plan

  variables {
    pass_role_arns = ["arn:aws:iam::111122223333:role/*"]
  }

  expect_failures = [var.pass_role_arns]
}

run "what_it_tells_goes_only_where_it_is_said_to" {
  command = apply

  variables {
    notify_bus_arns   = ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]
    notify_topic_arns = ["arn:aws:sns:eu-west-1:111122223333:deployments"]
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => [s.Action, s.Resource] if startswith(s.Sid, "Tell")
      } == {
      TellABus   = [["events:PutEvents"], ["arn:aws:events:eu-west-1:111122223333:event-bus/default"]]
      TellATopic = [["sns:Publish"], ["arn:aws:sns:eu-west-1:111122223333:deployments"]]
    }
    error_message = aws_iam_role_policy.task.policy
  }
}

run "another_region_is_allowed_only_where_it_is_named" {
  command = apply

  variables {
    regions = ["eu-central-1"]
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "ReadAndUpdateServices"]) == [
      "arn:aws:ecs:eu-west-1:111122223333:service/shop-prod/*", "arn:aws:ecs:eu-central-1:111122223333:service/shop-prod/*",
    ]
    error_message = aws_iam_role_policy.task.policy
  }
}

run "a_region_of_the_sovereign_cloud_is_one" {
  command = apply

  variables {
    regions = ["eusc-de-east-1"]
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-eusc" }
  }

  assert {
    condition = contains(
      one([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "ReadAndUpdateServices"]),
      "arn:aws-eusc:ecs:eusc-de-east-1:111122223333:service/shop-prod/*",
    )
    error_message = aws_iam_role_policy.task.policy
  }
}

run "queues_and_topics_under_a_key_can_be_used_and_nothing_else_with_it" {
  command = apply

  variables {
    existing_queue = {
      url             = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments"
      arn             = "arn:aws:sqs:eu-west-1:111122223333:deployments"
      dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/111122223333/deployments-dlq"
      dead_letter_arn = "arn:aws:sqs:eu-west-1:111122223333:deployments-dlq"
    }
    queue_kms_key_arns  = ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-queue"]
    notify_kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-topic"]
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Sid => [s.Action, s.Resource, s.Condition] if endswith(s.Sid, "UnderAKey")
      } == {
      ReadAndSendUnderAKey = [
        ["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-queue"],
        { StringLike = { "kms:ViaService" = "sqs.*.amazonaws.com*" } },
      ]
      PublishUnderAKey = [
        ["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-topic"],
        { StringLike = { "kms:ViaService" = "sns.*.amazonaws.com*" } },
      ]
    }
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.send[0].policy).Statement : s.Action[0] => s.Resource } == {
      "sqs:SendMessage" = ["arn:aws:sqs:eu-west-1:111122223333:deployments"]
      "kms:Decrypt"     = ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-queue"]
    }
    error_message = aws_iam_role_policy.send[0].policy
  }
}

run "without_keys_none_is_used" {
  command = apply

  assert {
    condition     = !strcontains(aws_iam_role_policy.task.policy, "kms:")
    error_message = aws_iam_role_policy.task.policy
  }
}

run "the_modules_own_queues_need_no_key" {
  command = plan

  variables {
    queue_kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-queue"]
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "a_key_named_by_a_star_is_refused" {
  command = plan

  variables {
    queue_kms_key_arns  = ["arn:aws:kms:eu-west-1:111122223333:key/*"]
    notify_kms_key_arns = ["alias/topics"]
  }

  expect_failures = [var.queue_kms_key_arns, var.notify_kms_key_arns]
}

run "of_families_named_definitions_are_registered_also_without_roles" {
  command = apply

  variables {
    task_families = ["shop_*"]
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "RegisterDefinitions"]) == [
      "arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_*:*"
    ]
    error_message = aws_iam_role_policy.task.policy
  }
}

run "where_a_role_is_passed_any_family_is_registered" {
  command = apply

  variables {
    pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "RegisterDefinitions"]) == [
      "arn:aws:ecs:eu-west-1:111122223333:task-definition/*:*"
    ]
    error_message = aws_iam_role_policy.task.policy
  }
}

run "of_no_family_nothing_is_registered_or_marked" {
  command = apply

  variables {
    task_families  = []
    pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.task.policy, ":task-definition/")
    error_message = aws_iam_role_policy.task.policy
  }
}
