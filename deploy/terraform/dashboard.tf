locals {
  # Rows of three, from the left; a row is six units high, the whole 24 wide.
  graphs = [
    {
      title = "Age of the oldest message (s)"
      metrics = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queue_names.main],
      ]
      stat = "Maximum"
    },
    {
      title = "Messages in the queue"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_names.main, { label = "waiting to be received" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", local.queue_names.main, { label = "held" }],
      ]
      stat = "Maximum"
    },
    {
      title = "Set aside, and not delivered"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_names.dead_letters, { label = "dead letters" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_names.undelivered, { label = "undelivered" }],
        [var.metric_namespace, local.metric_filters["set-aside"].metric, { label = "set aside", stat = "Sum" }],
      ]
      stat = "Maximum"
    },
    {
      title = "Deployments by outcome"
      metrics = [
        for name in ["succeeded", "failed", "rolled-back", "superseded", "not-needed", "retried"] :
        [var.metric_namespace, local.metric_filters[name].metric]
      ]
      stat = "Sum"
    },
    {
      title = "Failures by cause"
      metrics = [
        [{ expression = "SEARCH('{${var.metric_namespace},Cause} MetricName=\"${local.metric_filters["failed-by-cause"].metric}\"', 'Sum', 300)", id = "causes" }],
      ]
      stat = "Sum"
    },
    {
      title = "Receives: whoever acts asks all the time"
      metrics = [
        ["AWS/SQS", "NumberOfEmptyReceives", "QueueName", local.queue_names.main, { label = "empty" }],
        ["AWS/SQS", "NumberOfMessagesReceived", "QueueName", local.queue_names.main, { label = "messages" }],
        [var.metric_namespace, local.metric_filters["active"].metric, { label = "began to act" }],
      ]
      stat = "Sum"
    },
    {
      title = "CPU and memory of the daemon (%)"
      metrics = [
        ["AWS/ECS", "CPUUtilization", "ClusterName", local.cluster_name, "ServiceName", var.name],
        ["AWS/ECS", "MemoryUtilization", "ClusterName", local.cluster_name, "ServiceName", var.name],
      ]
      stat = "Maximum"
    },
    {
      # Each task tells its CPU once a minute: as many samples, as many tasks.
      title = "Tasks that run"
      metrics = [
        ["AWS/ECS", "CPUUtilization", "ClusterName", local.cluster_name, "ServiceName", var.name, { label = "tasks", period = 60 }],
      ]
      stat = "SampleCount"
    },
    {
      title = "Rules: matched, and failed to deliver"
      metrics = [
        for it in setproduct(concat(["MatchedEvents", "InvocationsSentToDlq"], local.rule_failures), local.rule_dimensions) :
        concat(["AWS/Events", it[0]], flatten([for k, v in it[1] : [k, v]]))
      ]
      stat = "Sum"
    },
  ]

  tables = [
    { title = "What failed", query = "What failed" },
    { title = "How long deployments took (s)", query = "How long deployments took" },
    { title = "What each lane did last", query = "What each lane did last" },
  ]

  widgets = concat(
    [for number, graph in local.graphs : {
      type   = "metric"
      x      = 8 * (number % 3)
      y      = 6 * floor(number / 3)
      width  = 8
      height = 6
      properties = {
        title   = graph.title
        region  = local.region
        view    = "timeSeries"
        period  = 300
        stat    = graph.stat
        metrics = graph.metrics
      }
    }],
    [for number, table in local.tables : {
      type   = "log"
      x      = 0
      y      = 6 * (ceil(length(local.graphs) / 3) + number)
      width  = 24
      height = 6
      properties = {
        title  = table.title
        region = local.region
        view   = "table"
        query  = "SOURCE '${aws_cloudwatch_log_group.this.name}' | ${local.queries[table.query]}"
      }
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = local.widgets })
}
