"""deploy/ without a cluster: against Kubernetes' schemas, and against the service that it describes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.cli import GRACE
from service.http.app import create_app
from service.recogniser import Recogniser
from service.settings import PREFIX, Settings
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
MONITORING = DEPLOY / "monitoring"
OTHERS = {"kustomization.yaml", "adapter.yaml", "gpu.yaml"}  # kustomize's own, a chart's values, a patch
MANIFESTS = sorted(path for path in DEPLOY.rglob("*.yaml") if path.name not in OTHERS)
PORT = 3000  # the default of `quintet serve` and of BentoML's images
CUSTOM = {"InferenceService", "PrometheusRule", "ServiceMonitor"}  # whose schemas are not Kubernetes' own


def manifests(kind):
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text()) if one["kind"] == kind]


def rules():
    (rule,) = manifests("PrometheusRule")
    return rule["spec"]


def asked():
    """The metrics that dashboard, alerts and autoscaler ask for."""
    texts = [path.read_text() for path in MONITORING.iterdir() if path.name != "kustomization.yaml"]
    return set(re.findall(r"\bquintet_\w+", " ".join(texts)))


def containers():
    """(pod, container) of each manifest that has any."""
    pods = [deployment["spec"]["template"]["spec"] for deployment in manifests("Deployment")]
    pods += [service["spec"]["predictor"] for service in manifests("InferenceService")]
    return [(pod, container) for pod in pods for container in pod["containers"]]


def rendered(folder):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", str(DEPLOY / folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "name", [*MANIFESTS, "overlays/cpu", "overlays/gpu", "monitoring"], ids=lambda name: Path(name).name
)
def test_manifests_and_overlays_follow_kubernetes_schemas(name):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    text = name.read_text() if isinstance(name, Path) else rendered(name)
    for manifest in yaml.safe_load_all(text):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_gpu_overlay_asks_for_cuda_and_one_gpu():
    (deployment,) = [one for one in yaml.safe_load_all(rendered("overlays/gpu")) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["QUINTET_DEVICE"] == "cuda" and "QUINTET_THREADS" in environment
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"] == "quintet-cuda:latest"


def test_ports_paths_and_settings_are_those_of_the_service(small_models):
    app = create_app(Recogniser(small_models, "cpu", threads=1)).app
    paths = {route.path for route in app.routes}
    for _, container in containers():
        (port,) = container["ports"]
        assert port["containerPort"] == PORT
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                request = container[probe]["httpGet"]
                assert request["path"] in paths and request["port"] in (port["name"], PORT)
        names = [entry["name"] for entry in container["env"] if entry["name"].startswith(PREFIX)]
        assert {name.removeprefix(PREFIX).lower() for name in names} <= set(Settings.model_fields)
    (service,) = manifests("Service")
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    (policy,) = manifests("NetworkPolicy")
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == PORT
    (monitor,) = manifests("ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["path"] in paths
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_a_pod_may_finish_what_it_began():
    (deployment,) = manifests("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (drain,) = [float(entry["value"]) for entry in container["env"] if entry["name"] == "QUINTET_DRAIN"]
    assert pod["terminationGracePeriodSeconds"] > drain + GRACE
    (inference,) = manifests("InferenceService")
    assert inference["spec"]["predictor"]["timeout"] >= Settings().timeout
    assert inference["spec"]["predictor"]["terminationGracePeriodSeconds"] > Settings().drain + GRACE


def test_everything_selects_the_pods_of_the_deployment():
    (deployment,) = manifests("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (service,), (budget,), (policy,), (scaler,) = map(
        manifests, ("Service", "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler")
    )
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == policy["spec"]["podSelector"]["matchLabels"] == labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    adapter = yaml.safe_load((MONITORING / "adapter.yaml").read_text())["rules"]["custom"][0]
    assert scaler["spec"]["metrics"][0]["pods"]["metric"]["name"] == adapter["name"]["as"]


def test_the_dashboard_has_variables_for_instance_and_route():
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert names == {"datasource", "instance", "route"}
    for panel in dashboard["panels"]:
        assert all("$instance" in target["expr"] for target in panel["targets"]), panel["title"]


def test_alerts_are_rules_of_prometheus(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")
    path: Path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rules()))
    subprocess.run([promtool, "check", "rules", str(path)], check=True)
