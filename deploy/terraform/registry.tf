# Lockkeeper's own images.

resource "aws_ecr_repository" "this" {
  count = var.create_repository ? 1 : 0

  name = var.name
  # A release is what it was when it was tested.
  image_tag_mutability = "IMMUTABLE"
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  count = var.create_repository ? 1 : 0

  repository = aws_ecr_repository.this[0].name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Parts of images that nothing names any more"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "As many releases as one might go back to"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.repository_keep }
        action       = { type = "expire" }
      },
    ]
  })
}
