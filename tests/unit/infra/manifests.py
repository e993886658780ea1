"""The manifests of infra/kubernetes as a cluster would get them."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from tests.command import REPOSITORY

KUBERNETES = REPOSITORY / "infra" / "kubernetes"
OVERLAYS = ("laptop", "cloud-gpu")
CLUSTER_WIDE = {"Namespace", "StorageClass"}

Manifest = dict[str, Any]


def rendered(overlay: str) -> list[Manifest]:
    """What `kubectl apply -k` would apply: by kubectl where there is one, else by `merged`."""
    folder = KUBERNETES / "overlays" / overlay
    if kubectl := shutil.which("kubectl"):
        done = subprocess.run(
            [kubectl, "kustomize", folder], capture_output=True, text=True, check=True
        )
        return list(yaml.safe_load_all(done.stdout))
    return merged(folder)


def merged(folder: Path) -> list[Manifest]:
    """The part of Kustomize used here: resources, patches of RFC 6902, images, namespace."""
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text())
    known = {"apiVersion", "kind", "namespace", "resources", "patches", "images"}
    assert asked.keys() <= known, asked.keys() - known
    found: list[Manifest] = []
    for name in asked["resources"]:
        path = folder / name
        found += (
            merged(path.resolve())
            if path.is_dir()
            else copy.deepcopy([one for one in yaml.safe_load_all(path.read_text()) if one])
        )
    for patch in asked.get("patches", ()):
        text = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text()
        target = patch["target"]
        hit = [i for i, one in enumerate(found) if _is_target(one, target)]
        assert hit, f"{folder.name}: {target} names nothing"
        for i in hit:
            found[i] = jsonpatch.apply_patch(found[i], yaml.safe_load(text))
    for one in found:
        if "namespace" in asked and one["kind"] not in CLUSTER_WIDE:
            one["metadata"]["namespace"] = asked["namespace"]
        for image in asked.get("images", ()):
            for container in containers(one):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def _is_target(one: Manifest, target: dict[str, str]) -> bool:
    named = re.fullmatch(target.get("name", ".*"), one["metadata"]["name"])
    return one["kind"] == target["kind"] and named is not None


def templates(manifest: Manifest) -> Iterator[Manifest]:
    """Every pod template in a manifest, whatever kind holds it."""

    def walk(value: Any) -> Iterator[Manifest]:
        if isinstance(value, list):
            for one in value:
                yield from walk(one)
        elif isinstance(value, dict):
            if "containers" in value.get("spec", {}):
                yield value
            for one in value.values():
                yield from walk(one)

    yield from walk(manifest)


def containers(manifest: Manifest) -> list[Manifest]:
    """Every container in it."""
    return [one for template in templates(manifest) for one in template["spec"]["containers"]]
