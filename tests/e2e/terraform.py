"""Terraform as a process, against an emulator: the module is copied, and its provider is told where to call."""

import json
import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = (
    "cloudtrail",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "elbv2",
    "events",
    "iam",
    "logs",
    "route53",
    "s3",
    "servicediscovery",
    "sns",
    "sqs",
    "ssm",
    "sts",
)


def mirror() -> str | None:
    """A folder with the provider, if there is one on this machine."""
    if "TERRAFORM_PLUGIN_DIR" in os.environ:
        return os.environ["TERRAFORM_PLUGIN_DIR"]
    find = ["find", "/", "-xdev", "-maxdepth", "7", "-path", "/proc", "-prune", "-o", "-type", "d"]
    find += ["-path", "*plugins*/hashicorp/aws", "!", "-path", "*/.terraform/*", "-print", "-quit"]
    found = subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip()
    return str(Path(found).parents[2]) if found else None


def has_terraform() -> bool:
    """Whether what needs no provider can be run."""
    return shutil.which("terraform") is not None


def missing() -> str | None:
    """What of it is not on this machine."""
    if not has_terraform():
        return "there is no terraform on this machine"
    return None if mirror() else "there is no mirror of Terraform's provider on this machine"


def copy(folder: Path) -> None:
    """Copies the module, with its examples, without what was left there by a run."""
    shutil.copytree(REPOSITORY / "deploy/terraform", folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))


def override(folder: Path, endpoint: str, region: str) -> None:
    """Tells the provider of a configuration where to call."""
    provider = {
        "region": region,
        "access_key": "test",
        "secret_key": "secret",
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "s3_use_path_style": True,
        # It tries a 500 up to 25 times: a call that the emulator lacks would look like a hang.
        "max_retries": 2,
        "endpoints": dict.fromkeys(SERVICES, endpoint),
    }
    (folder / "emulator_override.tf.json").write_text(json.dumps({"provider": {"aws": provider}}))


def environment(folder: Path) -> dict[str, str]:
    """What Terraform has in its environment."""
    # One that is named but missing makes every command fail.
    configuration = folder / "terraformrc"
    configuration.touch()
    return {
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_ARGS": "-no-color",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }


def rendered(folder: Path, module: str, output: str, given: list[dict]) -> list:
    """What an output of a module that makes nothing says for each of these variables. It needs no provider."""
    where = folder / f"rendered-{module}"
    shutil.copytree(REPOSITORY / "deploy/terraform/modules" / module, where / module)
    names = sorted({name for variables in given for name in variables})
    # One apply for all of them: each takes a second, whatever it makes.
    call = {"for_each": "${local.given}", "source": f"./{module}", **{name: f"${{each.value.{name}}}" for name in names}}
    main = {
        "locals": {"given": {str(number): variables for number, variables in enumerate(given)}},
        "module": {"all": call},
        "output": {"all": {"value": f"${{{{ for number, it in module.all : number => it.{output} }}}}"}},
    }
    (where / "main.tf.json").write_text(json.dumps(main))
    variables = {"PATH": os.environ["PATH"], "HOME": str(where), **environment(where)}
    for words in (("init",), ("apply", "-auto-approve"), ("output", "-json", "all")):
        done = subprocess.run(
            ["terraform", *words], cwd=where, env=variables, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return [found[str(number)] for number in range(len(given))]


class Terraform:
    """One example of the module, in a copy."""

    def __init__(self, example: str, folder: Path, endpoint: str, region: str):
        copy(folder / "module")
        self._where = folder / "module/examples" / example
        self._log = folder / "terraform.log"
        override(self._where, endpoint, region)
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment(folder)}
        self.run("init", "-backend=false", f"-plugin-dir={mirror()}")

    def run(self, *words: str, seconds: float = 900) -> str:
        """A command, which has to succeed; says what it wrote."""
        command = ["terraform", *words]
        done = subprocess.run(
            command,
            cwd=self._where,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr[-3000:] or done.stdout[-3000:]}"
        return done.stdout

    def differences(self, *words: str) -> list[str]:
        """What another run would change, by address."""
        self.run("plan", "-out=again.tfplan", *words)
        plan = json.loads(self.run("show", "-json", "again.tfplan"))
        return [it["address"] for it in plan["resource_changes"] if it["change"]["actions"] not in (["no-op"], ["read"])]
