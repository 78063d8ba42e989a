output "queue_url" {
  description = "The queue: for rules of your own, and for `LOCKKEEPER__QUEUE__URL`."
  value       = aws_sqs_queue.main.id
}

output "queue_arn" {
  description = "The queue's ARN. A rule made elsewhere also needs a statement in the queue's policy, or a role."
  value       = aws_sqs_queue.main.arn
}

output "dead_letter_queue_url" {
  description = "What Lockkeeper set aside."
  value       = aws_sqs_queue.dead_letters.id
}

output "undelivered_queue_url" {
  description = "What EventBridge could not deliver."
  value       = aws_sqs_queue.undelivered.id
}

output "rule_arns" {
  description = "The rules, by trigger."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
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

output "service_name" {
  description = "The daemon's ECS service."
  value       = aws_ecs_service.this.name
}

output "log_group_name" {
  description = "The daemon's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "lease_table_name" {
  description = "The table by which two tasks agree who acts; null without `standby`."
  value       = one(aws_dynamodb_table.lease[*].name)
}
