"""Where the pipeline of the infrastructure keeps Terraform's state: in S3 under its key, or it refuses to begin; and how the bucket is
made."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy/github-actions"
OUTPUT = 'output "made" {\n  value = 1\n}\n'

# As much of the CLI as makes a bucket: what was put stands in files of the folder `bucket`, every call in `calls`.
CLI = """#!/usr/bin/env bash
echo "$*" >>calls
shift
case $1 in
    get-caller-identity) echo "arn:$PARTITION:sts::111122223333:assumed-role/ci/run" ;;
    head-bucket) [ -d bucket ] ;;
    create-bucket) mkdir bucket ;;
    put-*) printf '%s\\n' "${@: -1}" >"bucket/${1#put-}" ;;
    get-bucket-policy) cat bucket/bucket-policy 2>/dev/null || { echo "$REFUSAL" >&2; exit 254; } ;;
    get-bucket-encryption) if [ -e bucket/bucket-encryption ]; then echo aws:kms; else echo AES256; fi ;;
    *) echo "unheard of: $*" >&2; exit 252 ;;
esac
"""
NO_POLICY = "An error occurred (NoSuchBucketPolicy) when calling the GetBucketPolicy operation: The bucket policy does not exist"


class Aws(BaseHTTPRequestHandler):
    """As much of STS and S3 as Terraform asks before it has a state."""

    def do_POST(self) -> None:
        said = "<Arn>arn:aws:iam::111122223333:role/ci</Arn><UserId>A</UserId><Account>111122223333</Account>"
        self._answer(200, f"<Answer><GetCallerIdentityResult>{said}</GetCallerIdentityResult></Answer>")

    def do_GET(self) -> None:
        self._answer(200, "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")

    def do_HEAD(self) -> None:
        self._answer(404, "")

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def init(folder: Path, configuration: str) -> subprocess.CompletedProcess:
    """Runs the script over a configuration, in a Region with one bucket."""
    (folder / "main.tf").write_text(configuration)
    (folder / "terraformrc").touch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "STATE_BUCKET": "states",
        "STATE_KEY": "shop/terraform.tfstate",
        "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }
    try:
        command = [str(FOLDER / "init.sh")]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    finally:
        server.shutdown()
        server.server_close()


def check_workflow() -> None:
    """Whatever begins with Terraform begins with the script, and says where the state is."""
    workflow = yaml.safe_load((FOLDER / "infrastructure.yml").read_text())
    assert workflow["env"]["STATE_KEY"], "two configurations would share a state"
    for name in ("plan", "apply"):
        steps = workflow["jobs"][name]["steps"]
        (first,) = [it for it in steps if "init.sh" in it.get("run", "")]
        before = steps[: steps.index(first)]
        assert not any(re.search("terraform (plan|apply)", it.get("run", "")) for it in before), f"{name}: nothing has looked"
        assert first["run"].startswith("../.github/lockkeeper/init.sh\n"), f"{name}: {first['run']}"
        assert first["env"]["STATE_BUCKET"] == "${{ vars.STATE_BUCKET }}", f"{name}: {first}"
    assert not re.search(r"terraform init", (FOLDER / "infrastructure.yml").read_text()), "nobody looks where the state is"


def check_state() -> None:
    """What the README says is needed is what is taken, and its absence is refused: Terraform itself ends well."""
    blocks = re.findall(r"```hcl\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    (block,) = [it for it in blocks if 'backend "s3"' in it]
    with tempfile.TemporaryDirectory() as name:
        done = init(Path(name), OUTPUT + block)
        assert done.returncode == 0, done
        kept = json.loads((Path(name) / ".terraform/terraform.tfstate").read_text())["backend"]
        said = {key: kept["config"][key] for key in ("bucket", "key", "region", "use_lockfile")}
        wanted = {"bucket": "states", "key": "shop/terraform.tfstate", "region": "eu-west-1", "use_lockfile": True}
        assert (kept["type"], said) == ("s3", wanted), kept
    with tempfile.TemporaryDirectory() as name:
        done = init(Path(name), OUTPUT)
        assert done.returncode == 1 and "the state would not be kept" in done.stderr, done
        assert "successfully initialized" in done.stdout, done


def make_bucket(folder: Path, refusal: str = NO_POLICY) -> subprocess.CompletedProcess:
    """Runs the workflow that makes the bucket, in another partition than AWS's first."""
    workflow = yaml.safe_load((FOLDER / "state-bucket.yml").read_text())
    (step,) = [it for it in workflow["jobs"]["make"]["steps"] if "run" in it]
    cli = folder / "bin/aws"
    cli.parent.mkdir(exist_ok=True)
    cli.write_text(CLI)
    cli.chmod(0o755)
    environment = {
        "PATH": f"{cli.parent}:{os.environ['PATH']}",
        "BUCKET": "states",
        "REGION": "eusc-de-east-1",
        "PARTITION": "aws-eusc",
        "REFUSAL": refusal,
    }
    command = ["bash", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def check_bucket() -> None:
    """It has a policy that its partition knows, and what somebody has set since stays."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = make_bucket(folder)
        assert done.returncode == 0, done
        made = {it.name: it.read_text() for it in (folder / "bucket").iterdir()}
        assert set(made) == {"public-access-block", "bucket-versioning", "bucket-encryption", "bucket-policy"}, made
        (statement,) = json.loads(made["bucket-policy"])["Statement"]
        assert statement["Resource"] == ["arn:aws-eusc:s3:::states", "arn:aws-eusc:s3:::states/*"], statement
        for kept in ("bucket-policy", "bucket-encryption"):
            (folder / "bucket" / kept).write_text("somebody else's")
        again = make_bucket(folder)
        assert again.returncode == 0, again
        left = {it.name: it.read_text() for it in (folder / "bucket").iterdir()}
        assert left == {**made, "bucket-policy": "somebody else's", "bucket-encryption": "somebody else's"}, left
    with tempfile.TemporaryDirectory() as name:
        done = make_bucket(Path(name), "An error occurred (AccessDenied) when calling the GetBucketPolicy operation")
        assert done.returncode != 0 and "AccessDenied" in done.stderr, f"what may not be read may be there: {done}"
        assert not (Path(name) / "bucket/bucket-policy").exists(), done


def main() -> int:
    check_workflow()
    check_bucket()
    if not shutil.which("terraform"):
        print("SKIPPED: where the state is kept was not looked at: there is no terraform on this machine", file=sys.stderr)
        return 0
    check_state()
    print("Terraform's state is kept, or nothing begins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
