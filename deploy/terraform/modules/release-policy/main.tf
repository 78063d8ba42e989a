# What a pipeline's role may do, as a policy: push images, and put requests on a bus. It cannot touch ECS. Makes no resource.

terraform {
  required_version = ">= 1.7"
}

variable "roles" {
  description = "Roles by name: the ECR repositories that each may push to, the buses on which it may put events of these sources, by ARN."
  type = map(object({
    push_to = list(string)
    buses   = list(string)
    sources = list(string)
  }))
}

output "policies" {
  description = "The policies, by role; without those that may do nothing."
  value = { for name, it in var.roles : name => jsonencode({
    Version = "2012-10-17"
    Statement = [for s in [
      {
        # Takes no resource.
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = length(it.push_to) > 0 ? ["*"] : []
      },
      {
        # BatchGetImage and GetDownloadUrlForLayer: a push looks what is there already.
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = it.push_to
      },
      {
        Sid       = "AskForDeployments"
        Effect    = "Allow"
        Action    = ["events:PutEvents"]
        Resource  = it.buses
        Condition = { StringEquals = { "events:source" = it.sources } }
      },
    ] : s if length(s.Resource) > 0]
  }) if length(it.push_to) + length(it.buses) > 0 }
}
