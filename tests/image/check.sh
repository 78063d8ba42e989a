#!/usr/bin/env bash
# Builds the image of the Dockerfile without a container engine's daemon, runs it as ECS would, and looks at what it does.
# `STAND_IN_BASES=1` builds on stand-ins for its base images: bases.sh says what they are. `BINARY=target/debug/lockkeeper` puts that into
# an image on such a stand-in, in place of one that is built: seconds instead of minutes, with everything but the build looked at.
set -euo pipefail
cd "$(dirname "$0")/../.."

export BUILDAH_ISOLATION=chroot
readonly image=localhost/lockkeeper:check world=${WORLD:-target/debug/examples/world}
folder=$(mktemp -d)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
revision=$(git rev-parse --short HEAD)

stop() {
    podman rm --force lockkeeper-check >/dev/null 2>&1 || true
    [[ -z ${world_pid:-} ]] || kill "$world_pid"
    rm -rf "$folder"
}
trap stop EXIT

is() { # NAME WANTED FOUND
    if [[ $2 == "$3" ]]; then
        printf 'ok    %s: %s\n' "$1" "$3"
    else
        printf 'WRONG %s: %s, and must be %s\n' "$1" "$3" "$2" >&2
        exit 1
    fi
}

config() { podman inspect --format "$1" "$image"; }

# Without systemd no timer asks for the health; some machines let nobody raise the limits that podman would set.
podman_run() {
    podman --runtime runc --cgroup-manager cgroupfs run --network host --pull never --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --no-healthcheck \
        --read-only --cap-drop ALL --security-opt no-new-privileges "$@"
}

# The health as the loop tells it; `000` while nobody answers.
health() { curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port/health" || true; }

options=(--pull)
if [[ -n ${BINARY:-} ]]; then
    # Apart from what else is kept on this machine: nobody else shall build on the stand-in.
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/images"\nrunroot = "%s/run"\n' "$folder" "$folder" >"$folder/storage.conf"
    export CONTAINERS_STORAGE_CONF=$folder/storage.conf
    tests/image/bases.sh run
    mkdir "$folder/build" "$folder/materials"
    cp "$BINARY" "$folder/build/lockkeeper"
    deploy/release/materials.sh "$folder/made" "$(rustc --print host-tuple)"
    python3 deploy/release/sbom.py "$folder/made" >"$folder/materials/lockkeeper.cdx.json"
    options=(--pull-never --build-context "build=$folder/build" --build-context "materials=$folder/materials")
elif [[ -n ${STAND_IN_BASES:-} ]]; then
    tests/image/bases.sh
    options=(--pull-never)
fi
certificates=/etc/ssl/certs
buildah bud --quiet --format docker --layers "${options[@]}" --network host --volume "$certificates:$certificates:ro" \
    --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" --tag "$image" . >/dev/null

is 'it runs as nobody' 65532:65532 "$(config '{{.Config.User}}')"
is 'it is the process, without a shell' '[/lockkeeper][run]' "$(config '{{.Config.Entrypoint}}{{.Config.Cmd}}')"
is 'it is told to end by' SIGTERM "$(config '{{.Config.StopSignal}}')"
is 'its revision' "$revision" "$(config '{{index .Config.Labels "org.opencontainers.image.revision"}}')"
is 'its health is asked by' '[CMD /lockkeeper health]' "$(config '{{.HealthCheck.Test}}')"
podman save --format oci-dir --output "$folder/saved" "$image" >/dev/null 2>&1
for layer in "$folder"/saved/blobs/sha256/* "$folder"/saved/*; do tar --list --file "$layer" 2>/dev/null || true; done >"$folder/files"
is 'Lockkeeper in it' 1 "$(grep --count --line-regexp 'lockkeeper' "$folder/files" || true)"
is 'shells and package managers in it' 0 "$(grep --count --extended-regexp '(^|/)(sh|bash|dash|busybox|apt|dpkg|apk)$' "$folder/files" || true)"
made_of() { for layer in "$folder"/saved/blobs/sha256/* "$folder"/saved/*; do tar --extract --to-stdout --file "$layer" usr/share/sbom/lockkeeper.cdx.json 2>/dev/null || true; done; }
is 'what it says that it is' "pkg:cargo/lockkeeper@$version" "$(made_of | jq --raw-output .metadata.component.purl)"
is 'what it says that it is made of' 1 "$(made_of | jq '[.components[] | select(.name == "tokio" and .scope == "required")] | length')"
is 'its version' "lockkeeper $version" "$(podman_run --rm "$image" --version)"

"$world" --listen 127.0.0.1:0 >"$folder/world" &
world_pid=$!
until [[ -s $folder/world ]]; do sleep 0.1; done
endpoint=$(head -1 "$folder/world")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=x AWS_REGION=eu-west-1
python3 - "$endpoint" >"$folder/queue" <<'PYTHON'
import json, sys, urllib.request
def call(operation, **body):
    scope = "000000000000/20261101/eu-west-1/sqs/aws4_request"
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{operation}",
               "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"}
    asked = urllib.request.Request(sys.argv[1], json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(asked))
call("CreateQueue", QueueName="dead")
policy = {"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": 100}
print(call("CreateQueue", QueueName="events", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"])
PYTHON

podman_run --detach --name lockkeeper-check --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY --env AWS_REGION \
    --env AWS_ENDPOINT_URL="$endpoint" --env LOCKKEEPER__QUEUE__URL="$(cat "$folder/queue")" \
    --env LOCKKEEPER__HTTP__LISTEN="127.0.0.1:$port" "$image" >/dev/null
for _ in $(seq 100); do
    if [[ $(health) == 200 ]]; then break; fi
    sleep 0.1
done
is 'its health' 200 "$(health)"
is 'its health, as ECS asks it' 0 "$(podman exec lockkeeper-check /lockkeeper health >/dev/null && echo 0)"
if [[ -z ${BINARY:-} ]]; then
    held() { for layer in "$folder"/saved/blobs/sha256/* "$folder"/saved/*; do tar --extract --to-stdout --file "$layer" lockkeeper 2>/dev/null || true; done; }
    is 'folders of its build in it' 0 "$(held | grep --text --count --extended-regexp '/usr/local/cargo/|/build/(src|target)/' || true)"
    is 'the same under the names of a release' yes "$(held | grep --text --count /cargo/registry/ | sed 's/^[1-9].*/yes/')"
    is 'its revision, as it says itself' 1 "$(curl --silent "http://127.0.0.1:$port/metrics" | grep --count "^lockkeeper_build_info{revision=\"$revision\"" || true)"
fi
podman stop --time 30 lockkeeper-check >/dev/null
is 'its end after SIGTERM' 0 "$(podman inspect --format '{{.State.ExitCode}}' lockkeeper-check)"
printf 'size: %s MB\n' "$(($(config '{{.Size}}') / 1000000))"
