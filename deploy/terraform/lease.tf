# By which two tasks agree who acts. One item: its reads and writes cost some two dollars a month.
resource "aws_dynamodb_table" "lease" {
  # checkov:skip=CKV_AWS_28: its one item is 12 s old at most; restored, it would lie
  count = var.standby ? 1 : 0

  name         = var.name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  tags         = var.tags

  attribute {
    name = "pk"
    type = "S"
  }
}
