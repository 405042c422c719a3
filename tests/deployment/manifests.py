"""Overlays as `kubectl kustomize` renders them, and what the tests look up in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = tuple(sorted(path.name for path in (ROOT / "k8s/overlays").iterdir()))
Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return the manifests of an overlay."""
    command = [Path(sys.executable).parent / "kubectl", "kustomize", ROOT / "k8s/overlays" / overlay]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(text))


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """Return the manifests of a kind by their names."""
    return {m["metadata"]["name"]: m for m in rendered(overlay) if m["kind"] == kind}


def worker_group(overlay: str) -> Manifest:
    """Return the one group of workers."""
    [group] = of_kind(overlay, "RayCluster")["voltray"]["spec"]["workerGroupSpecs"]
    return group


def pods(overlay: str) -> dict[str, Manifest]:
    """Return the templates of all pods by the name of their only container, labels of KubeRay's own included."""
    ray = of_kind(overlay, "RayCluster")["voltray"]["spec"]
    templates = [ray["headGroupSpec"]["template"], worker_group(overlay)["template"]]
    for template in templates:
        template["metadata"]["labels"]["ray.io/cluster"] = "voltray"
    templates += [m["spec"]["template"] for m in of_kind(overlay, "Deployment").values()]
    return {template["spec"]["containers"][0]["name"]: template for template in templates}


def selected(overlay: str, labels: dict[str, str]) -> list[Manifest]:
    """Return the pods that carry the labels."""
    return [pod for pod in pods(overlay).values() if labels.items() <= pod["metadata"]["labels"].items()]


def port_names(pod: Manifest) -> set[str]:
    """Return the names of the ports of a pod's container."""
    return {port["name"] for port in pod["spec"]["containers"][0].get("ports", ())}


def environment(overlay: str, container: str) -> dict[str, str]:
    """Return what a container finds in its environment: entries win over config maps, as in Kubernetes."""
    [spec] = pods(overlay)[container]["spec"]["containers"]
    found: dict[str, str] = {}
    for source in spec.get("envFrom", ()):
        found |= of_kind(overlay, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    return found | {entry["name"]: entry["value"] for entry in spec.get("env", ())}


def references(overlay: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of each config map, secret and claim that a pod asks for."""
    for pod in pods(overlay).values():
        for volume in pod["spec"].get("volumes", ()):
            if "secret" in volume:
                yield "Secret", volume["secret"]["secretName"]
            if "configMap" in volume:
                yield "ConfigMap", volume["configMap"]["name"]
            if "persistentVolumeClaim" in volume:
                yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        for source in pod["spec"]["containers"][0].get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]


def volume_at(pod: Manifest, path: str) -> Manifest:
    """Return the volume mounted at a path."""
    [spec] = pod["spec"]["containers"]
    [mount] = [m for m in spec["volumeMounts"] if m["mountPath"] == path]
    [volume] = [v for v in pod["spec"]["volumes"] if v["name"] == mount["name"]]
    return volume
