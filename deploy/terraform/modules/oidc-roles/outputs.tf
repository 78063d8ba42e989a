output "role_arns" {
  description = "The roles, by name."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}

output "provider_arn" {
  description = "The account's provider."
  value       = local.provider_arn
}

output "trust_policies" {
  description = "Whom the roles trust, by name."
  value       = { for name, role in aws_iam_role.this : name => role.assume_role_policy }
}

output "policies" {
  description = "What the roles may do, by name; without those that may do nothing of it."
  value       = local.policies
}

output "attached_policy_arns" {
  description = "The policies that the roles have beside, by name."
  value = { for name, role in aws_iam_role.this : name => [
    for it in aws_iam_role_policy_attachment.this : it.policy_arn if it.role == role.name
  ] }
}
