"""The overlays of k8s/ render, obey the schemas of Kubernetes and KubeRay, and agree with the server and themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from manifests import (
    OVERLAYS,
    ROOT,
    Manifest,
    environment,
    of_kind,
    pods,
    port_names,
    references,
    rendered,
    selected,
    volume_at,
    worker_group,
)

from voltray.driver.connect.security.policy import parse_policy
from voltray.driver.jupyterhub import SparkRemote
from voltray.driver.scheduler.limits import parse_limits
from voltray.driver.settings import DEFINITIONS, load_settings

SCHEMAS = Path(__file__).parent / "schemas"
# The oldest and the newest Kubernetes that the manifests must do with.
KUBERNETES = ("1.29", "1.37")
OTHERS = {
    "ray.io/v1/RayCluster": "ray.io_v1_rayclusters.schema.json",
    "monitoring.coreos.com/v1/ServiceMonitor": "servicemonitor.schema.json",
}
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def closed(schema: Any) -> Any:
    """Return a schema that refuses the fields it does not name, so that a misspelt one is found."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(part) for key, part in schema.items()}
    is_object = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    return {"additionalProperties": False, **found} if is_object else found


def validate(manifest: Manifest) -> None:
    """Hold a manifest to the schema of its kind."""
    kind = f"{manifest['apiVersion']}/{manifest['kind']}"
    if kind not in OTHERS:
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)
        return
    schema = closed(json.loads((SCHEMAS / OTHERS[kind]).read_text(encoding="utf-8")))
    schema["properties"]["metadata"] = {"type": "object"}
    Draft202012Validator(schema).validate(manifest)


def bytes_of(quantity: str) -> int:
    """Read a quantity of memory."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_obey_their_schemas(overlay: str) -> None:
    for manifest in rendered(overlay):
        validate(manifest)


@pytest.mark.parametrize("kind", ["RayCluster", "Deployment", "NetworkPolicy"])
def test_a_misspelt_field_is_found(kind: str) -> None:
    manifest = next(iter(of_kind("production", kind).values()))
    with pytest.raises(Exception, match="podSelectors"):
        validate({**manifest, "spec": {**manifest["spec"], "podSelectors": {}}})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_lies_in_the_namespace(overlay: str) -> None:
    assert {m["metadata"].get("namespace", m["metadata"]["name"]) for m in rendered(overlay)} == {"voltray"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_understands_its_settings(overlay: str) -> None:
    given = {name: text for name, text in environment(overlay, "driver").items() if name.startswith("VOLTRAY_")}
    assert given.keys() <= {definition.environment_variable for definition in DEFINITIONS}
    load_settings(environment=given)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_lets_no_one_in_without_proof(overlay: str) -> None:
    given = environment(overlay, "driver")
    assert given.get("VOLTRAY_HOST") == "127.0.0.1" or {"VOLTRAY_TLS_KEY", "VOLTRAY_AUTH_TOKENS"} <= given.keys()
    assert "VOLTRAY_ALLOW_UNAUTHENTICATED" not in given


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_executors_fit_their_workers(overlay: str) -> None:
    settings = load_settings(environment=environment(overlay, "driver"))
    group = worker_group(overlay)
    start = group["rayStartParams"]
    [container] = group["template"]["spec"]["containers"]
    assert settings.executors == group["minReplicas"] == group["replicas"]
    assert max(settings.executors, settings.max_executors) == group["maxReplicas"]
    assert settings.executor_cpus == int(start["num-cpus"])
    store, memory = int(start["object-store-memory"]), bytes_of(container["resources"]["limits"]["memory"])
    # Ray takes nine tenths of it at most.
    assert store <= 0.9 * bytes_of(volume_at(group["template"], "/dev/shm")["emptyDir"]["sizeLimit"])
    # The rest is for Ray's own processes and Python workers.
    assert settings.executor_memory + store <= 0.9 * memory
    assert volume_at(group["template"], str(settings.spill_dir))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_nodes_share_the_warehouse(overlay: str) -> None:
    folder = PurePosixPath(environment(overlay, "driver")["VOLTRAY_WAREHOUSE_DIR"])
    claims = [volume_at(pod, str(folder.parent))["persistentVolumeClaim"] for pod in pods(overlay).values()]
    assert claims == [{"claimName": "warehouse"}] * 3


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_files_of_the_settings_are_mounted(overlay: str) -> None:
    maps, [driver] = of_kind(overlay, "ConfigMap"), selected(overlay, {"app.kubernetes.io/component": "driver"})
    for name, text in environment(overlay, "driver").items():
        if not text.startswith("/etc/voltray/"):
            continue
        path = PurePosixPath(text)
        volume = volume_at(driver, str(path.parent))
        if "configMap" in volume:
            assert path.name in maps[volume["configMap"]["name"]]["data"], name
        else:
            assert path.name in documented_secrets()[volume["secret"]["secretName"]], name


def documented_secrets() -> dict[str, str]:
    """Return the commands of the README that make secrets, by the secret's name."""
    text = (ROOT / "k8s/README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"create secret (generic|tls) (\S+) (.*)", text)
    return {name: rest + (" tls.crt tls.key" if kind == "tls" else "") for kind, name, rest in found}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_pods_ask_for_is_there(overlay: str) -> None:
    there = {(m["kind"], m["metadata"]["name"]) for m in rendered(overlay)}
    secrets = {("Secret", name) for name in documented_secrets()}
    assert set(references(overlay)) <= there | secrets


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_pods_and_ports(overlay: str) -> None:
    for service in of_kind(overlay, "Service").values():
        found = selected(overlay, service["spec"]["selector"])
        assert found, service
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set.union(*map(port_names, found))
    for budget in of_kind(overlay, "PodDisruptionBudget").values():
        assert len(selected(overlay, budget["spec"]["selector"]["matchLabels"])) == 1
    for policy in of_kind(overlay, "NetworkPolicy").values():
        found = selected(overlay, policy["spec"]["podSelector"]["matchLabels"])
        named = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())}
        assert found and named <= set.union(*map(port_names, found))
    for monitor in of_kind(overlay, "ServiceMonitor").values():
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        [service] = [s for s in of_kind(overlay, "Service").values() if wanted <= s["metadata"]["labels"].items()]
        assert {e["port"] for e in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ray_is_closed_to_all_but_its_own(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy").values()
    for pod in pods(overlay).values():
        labels = pod["metadata"]["labels"].items()
        holding = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= labels]
        rules = [rule for policy in holding for rule in policy["spec"]["ingress"]]
        assert rules
        # Anyone may come to the driver's own ports, Prometheus to the metrics, this cluster's pods to everything.
        for rule in rules:
            named = {port["port"] for port in rule.get("ports", ())}
            own = [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "voltray"}}}]
            assert rule.get("from") == own or (named and named <= {"grpc", "ui", "metrics"})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_restricted_and_probed(overlay: str) -> None:
    for pod in pods(overlay).values():
        [container] = pod["spec"]["containers"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]


def test_policy_and_limits_are_read_as_the_server_reads_them() -> None:
    data = of_kind("production", "ConfigMap")["voltray-policy"]["data"]
    assert parse_policy(data["policy.toml"].encode()).default.python is False
    assert parse_limits(data["limits.toml"].encode())


def test_ray_is_the_locked_one() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for overlay in OVERLAYS:
        version = of_kind(overlay, "RayCluster")["voltray"]["spec"]["rayVersion"]
        assert f"\nray=={version}\n" in lock


def test_the_script_of_the_driver_joins_the_head_that_kuberay_names() -> None:
    for overlay in OVERLAYS:
        [cluster] = of_kind(overlay, "RayCluster")
        assert environment(overlay, "driver")["RAY_HEAD"] == f"{cluster}-head-svc:6379"


def test_compose_names_settings_that_exist() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    known = {definition.environment_variable for definition in DEFINITIONS}
    for service in services.values():
        given = {name for name in service.get("environment", ()) if name.startswith("VOLTRAY_")}
        assert given <= known


def test_the_hub_asks_for_the_service_and_for_secrets_that_are_made() -> None:
    hub = yaml.safe_load((ROOT / "k8s/overlays/jupyterhub/values.yaml").read_text(encoding="utf-8"))["hub"]
    [service] = [s["metadata"] for s in of_kind("jupyterhub", "Service").values() if s["metadata"]["name"] == "voltray"]
    assert hub["extraEnv"]["VOLTRAY_HUB_ADDRESS"] == f"{service['name']}.{service['namespace']}.svc:15002"
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in hub["extraVolumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in hub["extraVolumeMounts"]}
    for name in ("VOLTRAY_HUB_TOKEN_FILE", "VOLTRAY_HUB_AUTHORITY"):
        path = PurePosixPath(hub["extraEnv"][name])
        assert f"--from-file={path.name}=" in documented_secrets()[mounts[str(path.parent)]]
    assert "c.Spawner.pre_spawn_hook = SparkRemote.from_environment()" in hub["extraConfig"]["voltray"]
    assert SparkRemote.from_environment(hub["extraEnv"]).authority == Path(hub["extraEnv"]["VOLTRAY_HUB_AUTHORITY"])
