#!/usr/bin/env bash
# ask.sh SOURCE DETAIL_TYPE DETAIL: puts an event on the bus, and writes its id, for wait.sh.
#
# LOCKKEEPER_BUS is the bus, by name or ARN, where it is not `default`. What EventBridge refuses it answers with 200, and the AWS CLI
# ends with 0: only the answer says so, entry by entry. So this ends with 1 where there is no id, and says what stands there instead.
set -euo pipefail

entries=$(jq --null-input --compact-output --arg source "$1" --arg type "$2" --arg detail "$3" --arg bus "${LOCKKEEPER_BUS:-default}" \
    '[{Source: $source, DetailType: $type, Detail: $detail, EventBusName: $bus}]')
answer=$(aws events put-events --entries "$entries" --output json)
event=$(jq --raw-output '.Entries[0].EventId // empty' <<<"$answer")
if [ -z "$event" ]; then
    echo "EventBridge refused the event: $(jq --raw-output '.Entries[0] | "\(.ErrorCode): \(.ErrorMessage)"' <<<"$answer")" >&2
    exit 1
fi
echo "$event"
