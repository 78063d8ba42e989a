output "registers" {
  description = "Whether any task definition may be registered."
  value       = length(local.registered_arns) > 0
}

output "registers_nothing" {
  description = "What that means where none may be, for whoever sees the plan."
  value       = "No task definition may be registered: where ECS's circuit breaker does not go back from a followed tag that has moved, Lockkeeper may not either, and a request that names an image is refused. List the task and execution roles of the services in `pass_role_arns`, or set `rollback = false`."
}

output "statements" {
  description = "The statements that name something: of an empty list, none is made."
  value       = [for s in local.statements : s if length(s.Resource) > 0]
}
