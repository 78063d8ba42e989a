#!/usr/bin/env bash
# Formatting, validity and tests of the module, without an AWS account.
#
# Works on a copy, so that no lock file or provider is left in the tree. The provider comes from a mirror on this machine
# if there is one (TERRAFORM_PLUGIN_DIR, or a folder `…plugins…/HOST/hashicorp/aws`), else from the registry. Where there
# is no Terraform, or no provider to be had, it says so and succeeds: neither is needed to build or run Lockkeeper.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "SKIPPED: the Terraform module was not checked: $1" >&2
    exit 0
}

find_mirror() {
    if [ -n "${TERRAFORM_PLUGIN_DIR:-}" ]; then
        echo "$TERRAFORM_PLUGIN_DIR"
        return
    fi
    local provider
    provider=$(find / -xdev -maxdepth 7 -path /proc -prune -o \
        -type d -path '*plugins*/hashicorp/aws' ! -path '*/.terraform/*' -print -quit 2>/dev/null || true)
    [ -z "$provider" ] || dirname "$(dirname "$(dirname "$provider")")"
}

initialize() {
    local mirror
    mirror=$(find_mirror)
    if [ -n "$mirror" ]; then
        terraform init -backend=false -input=false -no-color -plugin-dir="$mirror" >init.log || { cat init.log >&2; return 1; }
    elif ! terraform init -backend=false -input=false -no-color >init.log 2>&1; then
        cat init.log >&2
        skip "no mirror of the provider on this machine, and the registry does not answer"
    fi
}

command -v terraform >/dev/null || skip "there is no terraform on this machine"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A configuration file that is named but missing makes every command fail.
if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && [ ! -e "$TF_CLI_CONFIG_FILE" ]; then
    touch "$work/terraformrc"
    export TF_CLI_CONFIG_FILE="$work/terraformrc"
fi
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1

terraform fmt -check -diff -recursive "$here"

cp -R "$here" "$work/module"
find "$work/module" -name .terraform -prune -exec rm -rf {} +

# The module, its parts and its examples: each folder with a provider. Those that make nothing are checked with the module.
cd "$work/module"
mapfile -t folders < <(grep -l required_providers -r . --include='*.tf' | xargs -n 1 dirname | sort -u)

for folder in "${folders[@]}"; do
    cd "$work/module/$folder"
    initialize
    echo "validate $folder"
    terraform validate -no-color
    if [ -d tests ]; then
        terraform test -no-color
    fi
done
