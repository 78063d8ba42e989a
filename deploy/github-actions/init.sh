#!/usr/bin/env bash
# init.sh: prepares the Terraform of this folder, with its state in S3, and refuses what would keep it elsewhere.
#
# STATE_BUCKET and STATE_KEY say where, in AWS_REGION. Without a block `backend "s3"` Terraform takes no notice of them, warns, and
# ends with 0; its state is then a file that goes with the runner, and the next run makes everything once more.
set -euo pipefail

terraform init \
    -backend-config="bucket=${STATE_BUCKET:?which bucket has the state?}" \
    -backend-config="key=${STATE_KEY:?under which key is the state?}" \
    -backend-config="region=${AWS_REGION:?in which Region is the bucket?}" \
    -backend-config="use_lockfile=true"
backend=$(jq --raw-output '.backend.type // empty' .terraform/terraform.tfstate 2>/dev/null || true)
if [ "$backend" != s3 ]; then
    # shellcheck disable=SC2016
    echo 'the state would not be kept: the configuration needs a block terraform { backend "s3" {} }' >&2
    exit 1
fi
