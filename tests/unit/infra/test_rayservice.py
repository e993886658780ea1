"""The replicas on Kubernetes are what KubeRay, Ray Serve and the program take."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any, Literal

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from ray.serve.schema import ServeDeploySchema

from flows.service import deployment
from flows.service.access import new_key
from flows.service.settings import ServeSettings
from tests.unit.infra.manifests import KUBERNETES, Manifest, containers, merged, templates
from tests.unit.infra.test_kubernetes import RAY_PORTS, RELEASE, _as_pod, _refuse_privileges


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Head(_Strict):
    rayStartParams: dict[str, Annotated[str, Field(strict=True)]]
    template: dict[str, Any]


class _Workers(_Head):
    groupName: str
    replicas: int
    minReplicas: int
    maxReplicas: int


class _Cluster(_Strict):
    rayVersion: str
    authOptions: dict[Literal["mode"], Literal["token"]]
    headGroupSpec: _Head
    workerGroupSpecs: list[_Workers]


class _Spec(_Strict):
    serveConfigV2: str
    excludeHeadPodFromServeSvc: bool
    rayClusterConfig: _Cluster


class RayService(_Strict):
    """What KubeRay takes, as far as the manifest here uses it."""

    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: dict[Literal["name", "namespace"], str]
    spec: _Spec


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return merged(KUBERNETES / "rayservice")


@pytest.fixture
def service(manifests: list[Manifest]) -> Manifest:
    (found,) = (one for one in manifests if one["kind"] == "RayService")
    return found


def test_its_manifests_fit_the_schemas_of_their_kinds(
    manifests: list[Manifest], service: Manifest
) -> None:
    assert RayService.model_validate(service).spec.rayClusterConfig.rayVersion == version("ray")
    for one in manifests:
        if one is not service:
            kubernetes_validate.validate(one, RELEASE, strict=True)
    base = merged(KUBERNETES / "base")
    names = {(one["kind"], one["metadata"]["name"]) for one in base}
    for template in templates(service):
        kubernetes_validate.validate(_as_pod(template), RELEASE, strict=True)
        pod = {**template, "spec": {**template["spec"]}}
        secrets = [one for one in pod["spec"]["volumes"] if "secret" in one]
        pod["spec"]["volumes"] = [one for one in pod["spec"]["volumes"] if one not in secrets]
        _refuse_privileges(template)
        assert [one["secret"] for one in secrets] == [{"secretName": "refold-serve-keys"}]
        assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in names
    labels = {
        one["metadata"]["labels"]["app.kubernetes.io/component"] for one in templates(service)
    }
    (policy,) = (one for one in manifests if one["kind"] == "NetworkPolicy")
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == labels


def test_ray_serve_takes_its_configuration_and_the_program_makes_the_application(
    service: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    told = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = told.applications
    assert application.import_path == f"{deployment.__name__}:{deployment.build.__name__}"
    assert told.proxy_location == "EveryNode"
    (deployed,) = application.deployments
    assert deployed.name == deployment.NAME
    arguments = deployment.Deployed.model_validate(application.args)
    assert arguments.host == told.http_options.host
    for container in containers(service):
        variables = {one["name"]: one["value"] for one in container["env"]}
        callback = variables.pop(deployment.CALLBACK)
        assert callback == f"{deployment.__name__}.{deployment.bounded_headers.__name__}"
        assert variables == {"REFOLD_SERVE_KEYS": "/etc/refold/keys"}
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert ports.pop("serve", told.http_options.port) == told.http_options.port
        assert ports.items() <= RAY_PORTS.items()
        probes = [
            container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")
        ]
        assert set(probes) <= {one["name"] for one in container["ports"]}
    # There is room for as many replicas as are asked for.
    (workers,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    each = float(container["resources"]["requests"]["cpu"])
    options = deployed.ray_actor_options
    assert deployed.num_replicas * options.num_cpus <= workers["minReplicas"] * each
    keys = tmp_path / "keys"
    keys.write_text(new_key("viewer")[1])
    monkeypatch.setenv("REFOLD_SERVE_KEYS", str(keys))
    assert ServeSettings().keys == keys
    assert deployment.build(arguments)
