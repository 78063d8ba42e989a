resource "aws_security_group" "this" {
  name        = var.name
  description = "Lockkeeper: out to AWS, in only from the groups that are named"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "AWS APIs and webhooks"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

locals {
  # The port of the collector; 443 is open as it is.
  named_otlp_ports = [
    for it in var.otlp_endpoint[*] : tonumber(coalesce(one(regex("^[a-z]+://[^/:]+(?::([0-9]+))?", it)), startswith(it, "https") ? "443" : "80"))
  ]
  otlp_ports = var.otlp_port != null ? [var.otlp_port] : local.named_otlp_ports
}

resource "aws_vpc_security_group_egress_rule" "otlp" {
  for_each = { for port in local.otlp_ports : "collector" => port if port != 443 }

  security_group_id = aws_security_group.this.id
  description       = "Traces to a collector"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags

  lifecycle {
    precondition {
      condition     = contains(local.named_otlp_ports, each.value)
      error_message = "`otlp_port` is that of `otlp_endpoint`, or is left out."
    }
  }
}

# A rule that is there already AWS refuses.
resource "aws_vpc_security_group_egress_rule" "more" {
  for_each = toset([for port in setsubtract(var.egress_ports, concat([443], local.otlp_ports)) : tostring(port)])

  security_group_id = aws_security_group.this.id
  description       = "Webhooks on another port"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

locals {
  # By number, because the groups themselves may be made in the same run.
  may_connect = merge(
    { for number, group in var.http_source_security_group_ids : tostring(number) => group },
    { for alb in var.alb[*] : "alb" => alb.security_group_id },
  )
}

resource "aws_vpc_security_group_ingress_rule" "http" {
  for_each = local.may_connect

  security_group_id            = aws_security_group.this.id
  description                  = "Dashboard, metrics and API"
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
  referenced_security_group_id = each.value
  tags                         = var.tags
}

# ---------------------------------------------------------------- behind a load balancer that is there

resource "aws_lb_target_group" "this" {
  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; the group admits only that
  count = var.alb == null ? 0 : 1

  name        = var.name
  port        = 8080
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = var.vpc_id
  # It answers what it has, and is gone within 10 s.
  deregistration_delay = 10
  tags                 = var.tags

  # ECS replaces a task that the load balancer finds unhealthy: not sooner than the container's own check does.
  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 4
  }

  lifecycle {
    precondition {
      condition     = !endswith(var.name, "-") && !startswith(var.name, "internal-")
      error_message = "A target group is called as `name` is, and may not end with a hyphen or begin with `internal-`: choose another `name`, or leave `alb` out."
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  count = var.alb == null ? 0 : 1

  listener_arn = var.alb.listener_arn
  priority     = var.alb.priority
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[0].arn
  }

  dynamic "condition" {
    for_each = length(var.alb.host_names) > 0 ? [var.alb.host_names] : []

    content {
      host_header {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = length(var.alb.paths) > 0 ? [var.alb.paths] : []

    content {
      path_pattern {
        values = condition.value
      }
    }
  }
}

# ---------------------------------------------------------------- a name in the VPC, by which Prometheus finds it

resource "aws_service_discovery_private_dns_namespace" "this" {
  count = var.dns_namespace == null ? 0 : 1

  name        = var.dns_namespace
  description = "Where Lockkeeper is found"
  vpc         = var.vpc_id
  tags        = var.tags
}

locals {
  named_in_dns      = var.dns_service != null ? var.dns_service : var.dns_namespace != null || var.dns_namespace_id != null
  dns_namespace_ids = var.dns_namespace == null ? var.dns_namespace_id[*] : aws_service_discovery_private_dns_namespace.this[*].id
}

resource "aws_service_discovery_service" "this" {
  count = local.named_in_dns ? 1 : 0

  name = var.name
  tags = var.tags

  lifecycle {
    precondition {
      condition     = (var.dns_namespace == null) != (var.dns_namespace_id == null)
      error_message = "Give `dns_namespace`, which is made, or `dns_namespace_id`, which is there: one of them, not both."
    }
  }

  dns_config {
    namespace_id   = local.dns_namespace_ids[0]
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = 15
    }
  }
}
