output "queue_url" {
  description = "The queue: for rules of your own, and for `LOCKKEEPER__QUEUE__URL`."
  value       = local.queue.url
}

output "queue_arn" {
  description = "The queue's ARN. A rule made elsewhere also needs a statement in the queue's policy, or a role."
  value       = local.queue.arn
}

output "dead_letter_queue_url" {
  description = "What Lockkeeper set aside."
  value       = local.dead_letters.url
}

output "undelivered_queue_url" {
  description = "What EventBridge could not deliver."
  value       = aws_sqs_queue.undelivered.id
}

output "undelivered_queue_arn" {
  description = "For the targets of rules of your own: its policy names the module's rules, and takes no others without a statement."
  value       = aws_sqs_queue.undelivered.arn
}

output "rule_arns" {
  description = "The rules, by trigger."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
}

output "forward_bus_arn" {
  description = "The bus that other accounts and Regions forward to: `bus_arn` of `modules/forward`. Null without `source_accounts`."
  value       = one(aws_cloudwatch_event_bus.forwarded[*].arn)
}

output "task_role_arn" {
  description = "The daemon's role."
  value       = aws_iam_role.task.arn
}

output "execution_role_arn" {
  description = "The role that starts the daemon."
  value       = aws_iam_role.execution.arn
}

output "security_group_id" {
  description = "The daemon's security group."
  value       = aws_security_group.this.id
}

output "cluster_name" {
  description = "The cluster in which the daemon runs."
  value       = local.cluster_name
}

output "service_name" {
  description = "The daemon's ECS service."
  value       = aws_ecs_service.this.name
}

output "repository_url" {
  description = "Where Lockkeeper's images are pushed; null without `create_repository`."
  value       = one(aws_ecr_repository.this[*].repository_url)
}

output "target_group_arn" {
  description = "The target group behind the load balancer; null without `alb`."
  value       = one(aws_lb_target_group.this[*].arn)
}

output "dns_name" {
  description = "The name by which the task is found in the VPC, on port 8080; null without a namespace that the module makes."
  value       = var.dns_namespace == null ? null : "${var.name}.${var.dns_namespace}"
}

output "log_group_name" {
  description = "The daemon's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "alarm_topic_arn" {
  description = "The topic that alarms are sent to; null without `alarm_emails`."
  value       = one(aws_sns_topic.alarms[*].arn)
}

output "alarm_names" {
  description = "All alarms."
  value = sort(concat(
    [for a in aws_cloudwatch_metric_alarm.this : a.alarm_name], aws_cloudwatch_metric_alarm.inactive[*].alarm_name,
    aws_cloudwatch_metric_alarm.failure_rate[*].alarm_name, [for a in aws_cloudwatch_metric_alarm.rules : a.alarm_name],
  ))
}

output "archive_arns" {
  description = "The archives, by bus."
  value       = { for bus, archive in aws_cloudwatch_event_archive.this : bus => archive.arn }
}

output "lease_table_name" {
  description = "The table by which two tasks agree who acts; null without `standby`."
  value       = one(aws_dynamodb_table.lease[*].name)
}
