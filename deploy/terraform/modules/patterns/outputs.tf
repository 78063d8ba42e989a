output "rules" {
  description = "The rules that are on, by trigger: what each is for, whether it belongs on the bus of the requests, its sources, each as JSON, and its pattern."
  value = {
    for name, rule in local.rules : name => {
      description = rule.description
      requests    = lookup(rule, "requests", false)
      # Known also where a name in the pattern is not, because what bears it is made in the same run.
      sources = [for it in rule.pattern.source : jsonencode(it)]
      pattern = jsonencode(rule.pattern)
    } if rule.enabled
  }
}
