"""Nothing that this project loads calls other hosts or leaves an id on the machine."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import free_port

OFF = {"ORT_DISABLE_TELEMETRY": "1", "BENTOML_DO_NOT_TRACK": "true"}
SECONDS = 16  # onnxruntime asked for its host 9 s after it was loaded, BentoML at the start of its server
LOADED = "import os, sys, {package}; print('onnxruntime' in sys.modules, *map(os.environ.get, {names!r}))"


@pytest.mark.parametrize("package", ["service", "training", "benchmarks"])
def test_each_package_switches_telemetry_off_before_any_of_its_modules_can_load_onnxruntime(package):
    """Bug: onnxruntime 1.31 sends usage data by default. A module is imported only after its package is."""
    code = LOADED.format(package=package, names=list(OFF))
    environment = {name: value for name, value in os.environ.items() if name not in OFF}
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", *OFF.values()], ran.stderr


@pytest.mark.slow
def test_server_asks_for_no_host_and_writes_no_id(small_models, tmp_path):
    """In a network of its own, whose DNS writes down each question."""
    namespace = ["unshare", "--map-root-user", "--net", "--mount", "--kill-child", "--fork", "--pid"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "ip", "link", "set", "lo", "up"]).returncode:
        pytest.skip("no namespace of the network can be made here (unshare, ip)")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache"), "QUINTET_MODELS": str(small_models)}
    environment = {name: value for name, value in os.environ.items() if name not in OFF and name != "CI"} | home
    command = [*namespace, sys.executable, "-m", "tests.test_telemetry", str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=SECONDS * 6)
    assert ran.stdout.splitlines()[-1] == "asked for: []", ran.stdout + ran.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file() and small_models not in path.parents]
    assert [path for path in left if "onnxruntime" in str(path) or path.name == "client_id"] == []


def host_asked_for(packet: bytes) -> str:
    """The name in a question to a DNS."""
    labels, at = [], 12
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels)


def main(folder: Path) -> None:
    """Serve for SECONDS in this namespace, and print which hosts were asked for."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf"], check=True)
    dns, asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
    dns.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            packet, sender = dns.recvfrom(512)
            asked.append(host_asked_for(packet))
            dns.sendto(packet[:2] + b"\x81\x83" + packet[4:6] + bytes(6) + packet[12:], sender)  # there is no such host

    threading.Thread(target=answer, daemon=True).start()
    server = subprocess.Popen([sys.executable, "-m", "service", "serve", "--port", str(free_port())])
    try:
        server.wait(SECONDS)
        raise SystemExit("the server ended")
    except subprocess.TimeoutExpired:
        print("asked for:", asked)  # the server ends with its namespace


if __name__ == "__main__":
    main(Path(sys.argv[1]))
