# Where secrets and files are told of by CloudTrail, and there is no trail yet. Management events that write, because of the
# secrets; data events of the files' buckets, where that is how they are told.

locals {
  trail        = var.create_trail ? 1 : 0
  trail_name   = "${var.name}-trail"
  trail_bucket = "${local.trail_name}-${local.account}-${local.region}"
  trail_arn    = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${local.trail_name}"
}

resource "aws_s3_bucket" "trail" {
  # checkov:skip=CKV_AWS_18: nobody reads these files: EventBridge gets the events
  # checkov:skip=CKV_AWS_21: the same: they are forgotten after `trail_days`
  # checkov:skip=CKV_AWS_144: the same
  # checkov:skip=CKV2_AWS_62: the same
  count = local.trail

  bucket = local.trail_bucket
  tags   = var.tags

  lifecycle {
    precondition {
      condition     = length(local.trail_bucket) <= 63
      error_message = "A bucket's name has 63 characters at most: ${local.trail_bucket} has ${length(local.trail_bucket)}. Shorten `name`."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "trail" {
  count = local.trail

  bucket                  = aws_s3_bucket.trail[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "trail" {
  count = local.trail

  bucket = aws_s3_bucket.trail[0].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  count = local.trail

  bucket = aws_s3_bucket.trail[0].id
  rule {
    id     = "forget"
    status = "Enabled"
    filter {}
    expiration {
      days = var.trail_days
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  count = local.trail

  bucket = aws_s3_bucket.trail[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.trail[0].arn, "${aws_s3_bucket.trail[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "TrailLooks"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = aws_s3_bucket.trail[0].arn
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "TrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.trail[0].arn}/AWSLogs/${local.account}/*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      },
    ]
  })
}

resource "aws_cloudtrail" "this" {
  # checkov:skip=CKV2_AWS_10: EventBridge gets the events, which is all that it is for
  count = local.trail

  name                          = local.trail_name
  s3_bucket_name                = aws_s3_bucket.trail[0].id
  include_global_service_events = false
  enable_log_file_validation    = true
  tags                          = var.tags

  advanced_event_selector {
    name = "Changes"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
    field_selector {
      field  = "readOnly"
      equals = ["false"]
    }
  }

  dynamic "advanced_event_selector" {
    for_each = var.triggers.files_cloudtrail && length(var.files) > 0 ? [var.files] : []

    content {
      name = "Files"
      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }
      field_selector {
        field  = "resources.type"
        equals = ["AWS::S3::Object"]
      }
      field_selector {
        field  = "readOnly"
        equals = ["false"]
      }
      field_selector {
        field       = "resources.ARN"
        starts_with = [for f in advanced_event_selector.value : "arn:${local.partition}:s3:::${f.bucket}/"]
      }
    }
  }

  depends_on = [aws_s3_bucket_policy.trail]
}

# A bucket has one configuration of notifications: this replaces it, and so it is asked for bucket by bucket.
resource "aws_s3_bucket_notification" "files" {
  for_each = { for f in var.files : f.name != null ? f.name : f.bucket => f.bucket... if f.switch_on_events }

  bucket      = each.value[0]
  eventbridge = true

  lifecycle {
    precondition {
      condition     = length(distinct(each.value)) == 1
      error_message = "Entries of `files` of one `name` are of one bucket: give ${join(" and ", distinct(each.value))} names of their own."
    }
  }
}
