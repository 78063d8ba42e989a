# An installation beside what it is told of: nothing of that has an id, a name or an address in the plan that makes both.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

resource "terraform_data" "made" {
  for_each = toset(["bucket", "collector"])
}

resource "aws_service_discovery_private_dns_namespace" "made" {
  name = "tools.internal"
  vpc  = "vpc-1"
}

module "lockkeeper" {
  source = "../.."

  image          = "registry.example.com/lockkeeper:1.0.0"
  vpc_id         = "vpc-1"
  subnet_ids     = ["subnet-1"]
  clusters       = ["shop-prod"]
  pass_role_arns = ["arn:aws:iam::111122223333:role/shop-task"]
  settings_toml  = "[[target]]\nname = \"api\"\n"

  files        = [{ bucket = terraform_data.made["bucket"].id, name = "settings", switch_on_events = true }]
  archive_days = 30

  dns_namespace_id = aws_service_discovery_private_dns_namespace.made.id
  dns_service      = true

  otlp_endpoint = "http://${terraform_data.made["collector"].id}:4318"
  otlp_port     = 4318
}

output "rules" {
  value = keys(module.lockkeeper.rule_arns)
}
