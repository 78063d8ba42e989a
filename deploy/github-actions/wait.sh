#!/usr/bin/env bash
# wait.sh EVENT_ID [SECONDS]: waits for the outcome of what carries this event, in every target that it reaches, and ends by it.
#
# LOCKKEEPER_URL is where Lockkeeper's API is, LOCKKEEPER_TOKEN the token that reading needs, if it does. Ends with 0 where the
# release runs in all of them or a newer one has taken its place, with 1 where one of them failed, with 2 where that was not
# known in time, or at once where the API gives an answer that no waiting changes.
set -euo pipefail

event=$1
seconds=${2:-1800}
home=${LOCKKEEPER_URL:?where is the API of Lockkeeper?}
url="${home%/}/api/v1/deployments?event=$event&limit=200"

# The answer, and in a last line its status.
call() {
    if [ -n "${LOCKKEEPER_TOKEN:-}" ]; then
        # Not as an argument: those of a process can be read by others.
        curl --silent --show-error --max-time 10 --write-out '\n%{http_code}' --header @- "$1" <<<"Authorization: Bearer $LOCKKEEPER_TOKEN"
    else
        curl --silent --show-error --max-time 10 --write-out '\n%{http_code}' "$1"
    fi
}

# The page that is asked for; 1 where it may come later, 3 where it never will.
ask() {
    local answer status
    answer=$(call "$1") || return 1
    status=${answer##*$'\n'}
    case $status in
        2??) printf '%s\n' "${answer%$'\n'*}"; return 0 ;;
        408 | 429 | 5??) echo "the API answers with $status: it is asked again" >&2; return 1 ;;
        401) echo "the API answers with 401: it wants a token in LOCKKEEPER_TOKEN, or knows the one there no more" >&2 ;;
        403) echo "the API answers with 403: the token in LOCKKEEPER_TOKEN may not read" >&2 ;;
        *) echo "there is no API of Lockkeeper at LOCKKEEPER_URL, $home: it answers with $status" >&2 ;;
    esac
    return 3
}

# Every deployment that carries the event, a line each, the newest first. Fails as `ask` does.
look() {
    local page cursor=""
    while true; do
        page=$(ask "$url${cursor:+&cursor=$cursor}") || return
        jq --compact-output '.items[]' <<<"$page"
        cursor=$(jq --raw-output '.next // empty | @uri' <<<"$page")
        [ -n "$cursor" ] || return 0
    done
}

# The newest of each target counts: what was replayed has another one behind it. One that is not listed any more is kept,
# because a process on standby knows of none, and one that has just begun not of all.
known='{}'
# shellcheck disable=SC2016
newest='.[0] + (reduce .[1:][] as $it ({}; .[$it.target] //= $it))'
line='.[] | "\(.target), \(.id): \(.outcome // .stage)\(if .reason then ": " + .reason else "" end)"'
bad='.[] | select(.outcome | IN("succeeded", "already_running", "superseded", "dry_run") | not)'

said=""
before=""
while [ "$SECONDS" -lt "$seconds" ]; do
    ended=""
    status=0
    found=$(look) || status=$?
    [ "$status" -ne 3 ] || exit 2
    if [ "$status" -eq 0 ] && [ -n "$found" ]; then
        known=$(printf '%s\n%s\n' "$known" "$found" | jq --slurp --compact-output "$newest")
        now=$(jq --raw-output "$line" <<<"$known")
        grep --fixed-strings --line-regexp --invert-match --file=<(printf '%s\n' "$said") <<<"$now" || true
        said=$now
        ended=$(jq --raw-output 'if all(.[]; .outcome) then map_values(.id) | tostring else "" end' <<<"$known")
    fi
    # Nothing says how many targets an event reaches, so they have to be the same ones at two looks.
    if [ -n "$ended" ] && [ "$ended" = "$before" ]; then
        failed=$(jq --raw-output "$bad | .evidence | tostring" <<<"$known")
        [ -n "$failed" ] || exit 0
        echo "$failed"
        exit 1
    fi
    before=$ended
    sleep "${LOCKKEEPER_PAUSE:-5}"
done
if [ "$known" = '{}' ]; then
    echo "nothing was known of event $event within $seconds s" >&2
else
    echo "event $event has not ended everywhere within $seconds s" >&2
fi
exit 2
