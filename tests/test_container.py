"""The images without a container engine: the service as their user, with their environment, on a read-only root."""

import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import httpx2
import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.conftest import REPOSITORY
from tests.serving import END, command, free_port, wait_until_ready

FILES = ["Dockerfile", "Dockerfile.j2"]
# What a container has: a process table of its own, a read-only root, an empty /tmp, no capability but to read files:
# Python may lie in the home of this machine's root.
CONTAINER = """
mount --make-rprivate /
exec 9< "$PWD"  # the checkout may lie in /tmp
mount -t tmpfs tmpfs /tmp
mkdir -p "$PWD"
mount --no-canonicalize --bind /proc/self/fd/9 "$PWD"
exec 9<&-
mount -o remount,bind,ro "$PWD"
cd "$PWD"
for point in $(findmnt -rno TARGET | grep -v -E '^/(proc|sys|dev|tmp)'); do mount -o remount,bind,ro $point; done
exec setpriv --reuid 12345 --regid 0 --clear-groups --no-new-privs \\
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"
"""


def environment(file):
    """The variables that a Dockerfile sets."""
    lines = re.findall(r"^ENV (.+)$", (REPOSITORY / "container" / file).read_text(), re.MULTILINE)
    return dict(pair.split("=") for line in lines for pair in line.split())


@contextmanager
def contained(arguments, address, **variables):
    """A process in something like a container, once it answers."""
    process = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-e", "-c", CONTAINER, "bash", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": "/", "QUINTET_DRAIN": "0"} | variables,
    )
    try:
        wait_until_ready(process, address)
        yield
    finally:
        process.kill()
        process.wait(END)


@pytest.mark.slow
def test_service_starts_for_a_user_without_a_home_on_a_read_only_root():
    """Bug: BentoML wrote into its home, so `docker compose up` started for ever, and so did OpenShift's user ids."""
    tools = [shutil.which(name) for name in ("unshare", "findmnt", "setpriv")]
    if os.geteuid() != 0 or not all(tools):
        pytest.skip("this needs root, and unshare, findmnt and setpriv of util-linux")
    variables, other = map(environment, FILES)
    assert variables == other
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with contained(command("service.bento:Quintet", port), address, QUINTET_DEVICE="cpu", **variables):
        seven = (REPOSITORY / "examples" / "seven.png").read_bytes()
        answer = httpx2.post(f"{address}/predict?models=cnn", files={"image": seven})
        assert (answer.status_code, answer.json()["digit"]) == (200, 7)


@pytest.mark.parametrize("file", FILES)
def test_images_run_as_a_number_which_kubernetes_can_tell_from_root(file):
    users = re.findall(r"^USER (.+)$", (REPOSITORY / "container" / file).read_text(), re.MULTILINE)
    assert users[-1] in ("1034", "{{ bento__uid_gid }}")


def test_compose_builds_from_a_clone_and_knows_the_settings():
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    for name, requirements in (("quintet", "cpu"), ("quintet-cuda", "cuda")):
        service = services[name]
        build = service["build"]
        file = (REPOSITORY / build["context"] / build["dockerfile"]).read_text()
        (default,) = re.findall("ARG REQUIREMENTS=(.+)", file)
        chosen = build.get("args", {}).get("REQUIREMENTS", default)
        assert chosen == f"requirements/{requirements}.txt" and (REPOSITORY / chosen).exists()
        names = {key.removeprefix(PREFIX).lower() for key in service["environment"] if key.startswith(PREFIX)}
        assert names <= set(Settings.model_fields)
        assert (service["read_only"], service["tmpfs"]) == (True, ["/tmp"])


def test_image_holds_what_the_bento_holds():
    listed = (REPOSITORY / "container" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:].split("/")[0] for line in listed if line.startswith("!")}
    bento = yaml.safe_load((REPOSITORY / "bentofile.yaml").read_text())["include"]
    assert {path.split("/")[1] for path in bento} - {"README.md"} == allowed
