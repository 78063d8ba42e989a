output "rules" {
  description = "The rules that are on, by trigger: what each is for, whether it belongs on the bus of the requests, and its pattern."
  value = {
    for name, rule in local.rules : name => {
      description = rule.description
      requests    = lookup(rule, "requests", false)
      pattern     = jsonencode(rule.pattern)
    } if rule.enabled
  }
}
