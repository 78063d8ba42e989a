# What a pipeline's role may do: push images, and put requests on a bus. It cannot touch ECS.

locals {
  # Without those that may do nothing.
  policies = { for name, it in var.roles : name => jsonencode({
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
