#!/usr/bin/env bash
# wait.sh EVENT_ID [SECONDS]: waits for the outcome of the deployment that carries this event, and ends by it.
#
# LOCKKEEPER_URL is where Lockkeeper's API is, LOCKKEEPER_TOKEN the token that reading needs, if it does. Ends with 0 where the
# release runs or a newer one has taken its place, with 1 where it failed, with 2 where nothing was known in time.
set -euo pipefail

event=$1
seconds=${2:-1800}
url="${LOCKKEEPER_URL:?where is the API of Lockkeeper?}/api/v1/deployments?event=$event"

ask() {
    if [ -n "${LOCKKEEPER_TOKEN:-}" ]; then
        # Not as an argument: those of a process can be read by others.
        curl --silent --show-error --fail --max-time 10 --header @- "$url" <<<"Authorization: Bearer $LOCKKEEPER_TOKEN"
    else
        curl --silent --show-error --fail --max-time 10 "$url"
    fi
}

said=""
while [ "$SECONDS" -lt "$seconds" ]; do
    if found=$(ask); then
        now=$(jq -r '.items[0] // empty | "\(.id): \(.outcome // .stage)\(if .reason then ": " + .reason else "" end)"' <<<"$found")
        if [ -n "$now" ] && [ "$now" != "$said" ]; then
            echo "$now"
            said=$now
        fi
        case $(jq -r '.items[0].outcome // empty' <<<"$found") in
            succeeded | already_running | superseded | dry_run) exit 0 ;;
            failed | rolled_back | rejected | cancelled | expired)
                jq -r '.items[0].evidence | tostring' <<<"$found"
                exit 1
                ;;
        esac
    fi
    sleep "${LOCKKEEPER_PAUSE:-5}"
done
echo "nothing was known of event $event within $seconds s" >&2
exit 2
