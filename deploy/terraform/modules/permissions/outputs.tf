output "statements" {
  description = "The statements that name something: of an empty list, none is made."
  value       = [for s in local.statements : s if length(s.Resource) > 0]
}
