"""Every manifest is one that a cluster takes, and says what the program says."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import version
from typing import Any

import kubernetes_validate
import pytest
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_settings_fields
from prefect.utilities.templating import apply_values
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
from ray._private import ray_constants

from flows.service.routers import health
from flows.service.settings import PREFIX as SERVE_PREFIX
from flows.service.settings import ServeSettings
from rescaling_core import __version__
from tasks.settings import PREFIX, Settings
from tests.unit.infra.commands import refuse_unknown
from tests.unit.infra.manifests import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    containers,
    merged,
    rendered,
    templates,
)
from tests.unit.infra.rayjob import RayJob, Workers

RELEASE = "1.37"
DEPLOYMENT_ONLY = {"REFOLD_SOURCE", "REFOLD_ARCHIVE"}
"""Read by entry points and by infra/prefect.yaml, not by the program."""
OTHERS = {"DO_NOT_TRACK", "HOME", "XDG_CACHE_HOME", "AWS_ENDPOINT_URL", "AWS_REGION"}
RAY_PORTS = {
    "gcs": ray_constants.DEFAULT_PORT,
    "dashboard": ray_constants.DEFAULT_DASHBOARD_PORT,
    "agent": ray_constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT,
    "client": 10001,
    "metrics": 8080,  # KubeRay starts Ray with it
}


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(request.param)


def _of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] == kind]


def _as_pod(template: Manifest) -> Manifest:
    metadata = {"name": "pod", **template.get("metadata", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_makes_of_an_overlay_what_these_tests_make_of_it(overlay: str) -> None:
    def sorted_(found: list[Manifest]) -> list[Manifest]:
        return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert sorted_(rendered(overlay)) == sorted_(merged(KUBERNETES / "overlays" / overlay))


def test_every_manifest_fits_the_schema_of_its_kind(manifests: list[Manifest]) -> None:
    for one in manifests:
        if one["kind"] == "RayJob":
            RayJob.model_validate(one)
            for template in templates(one):
                kubernetes_validate.validate(_as_pod(template), RELEASE, strict=True)
        else:
            kubernetes_validate.validate(one, RELEASE, strict=True)


def test_a_schema_notices_a_field_that_is_misspelt(manifests: list[Manifest]) -> None:
    (first, *_) = _of_kind(manifests, "RayJob")
    pod = _as_pod(next(templates(first)))
    pod["spec"]["serviceAcountName"] = "refold"
    with pytest.raises(kubernetes_validate.ValidationError, match="serviceAcountName"):
        kubernetes_validate.validate(pod, RELEASE, strict=True)
    with pytest.raises(ValueError, match="rayVersions"):
        RayJob.model_validate(first | {"spec": first["spec"] | {"rayVersions": "2"}})


def _refuse_privileges(template: Manifest) -> None:
    """Hold a pod against Kubernetes' standard `restricted`."""
    spec = template["spec"]
    told = spec["securityContext"]
    assert told["runAsNonRoot"] is True
    assert told["runAsUser"] > 0
    assert told["seccompProfile"]["type"] == "RuntimeDefault"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for volume in spec["volumes"]:
        assert len(volume.keys() & {"emptyDir", "ephemeral", "configMap", "secret"}) == 1, volume
    for container in spec["containers"]:
        told = container["securityContext"]
        assert told["allowPrivilegeEscalation"] is False
        assert told["capabilities"] == {"drop": ["ALL"]}
        assert told["readOnlyRootFilesystem"] is True
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    known = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= known


def test_every_pod_is_of_the_restricted_kind(manifests: list[Manifest]) -> None:
    (namespace,) = _of_kind(manifests, "Namespace")
    label = "pod-security.kubernetes.io/enforce"
    assert namespace["metadata"]["labels"][label] == "restricted"
    found = [template for one in manifests for template in templates(one)]
    assert found
    for template in found:
        _refuse_privileges(template)
    for job in _of_kind(manifests, "RayJob"):
        autoscaler = job["spec"]["rayClusterSpec"]["autoscalerOptions"]["securityContext"]
        assert autoscaler["allowPrivilegeEscalation"] is False
        assert autoscaler["capabilities"] == {"drop": ["ALL"]}


def test_every_name_that_a_manifest_refers_to_is_there(manifests: list[Manifest]) -> None:
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    for one in manifests:
        for template in templates(one):
            assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in names
            for volume in template["spec"]["volumes"]:
                if claim := volume.get("ephemeral"):
                    storage = claim["volumeClaimTemplate"]["spec"]["storageClassName"]
                    assert ("StorageClass", storage) in names
            for container in template["spec"]["containers"]:
                for source in container.get("envFrom", ()):
                    if reference := source.get("configMapRef"):
                        assert ("ConfigMap", reference["name"]) in names
                    else:
                        assert source["secretRef"]["optional"] is True
    labels = [template["metadata"]["labels"] for one in manifests for template in templates(one)]
    for kind in ("PodDisruptionBudget", "Deployment"):
        for one in _of_kind(manifests, kind):
            wanted = one["spec"]["selector"]["matchLabels"].items()
            assert any(wanted <= label.items() for label in labels), one["metadata"]["name"]
    components = {label["app.kubernetes.io/component"] for label in labels}
    for policy in _of_kind(manifests, "NetworkPolicy"):
        for expression in policy["spec"]["podSelector"].get("matchExpressions", ()):
            assert set(expression["values"]) <= components


def test_nothing_goes_in_or_out_that_no_policy_names(manifests: list[Manifest]) -> None:
    policies = {
        one["metadata"]["name"]: one["spec"] for one in _of_kind(manifests, "NetworkPolicy")
    }
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
            assert rule.get("ports") or rule.get("to") or rule.get("from"), name


def test_every_variable_is_one_that_the_program_or_its_engines_know(
    manifests: list[Manifest],
) -> None:
    (told,) = (one["data"] for one in _of_kind(manifests, "ConfigMap"))
    prefect = _get_settings_fields(PrefectSettings)
    ours = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    for name, value in told.items():
        if name.startswith("PREFECT_"):
            assert name in prefect, name
        elif name.startswith(PREFIX):
            assert name in DEPLOYMENT_ONLY or name in ours, name
        else:
            assert name in OTHERS or name.startswith("RAY_"), name
        assert isinstance(value, str)
    Settings(**{ours[name]: value for name, value in told.items() if name in ours})


def test_the_rays_of_a_job_run_a_command_that_there_is(manifests: list[Manifest]) -> None:
    (told,) = (one["data"] for one in _of_kind(manifests, "ConfigMap"))
    jobs = _of_kind(manifests, "RayJob")
    assert {job["metadata"]["name"] for job in jobs} == {
        "refold-archive",
        "refold-backfill",
        "refold-scrub",
    }
    for job in jobs:
        entrypoint, _, otherwise = job["spec"]["entrypoint"].partition(" || ")
        assert otherwise in ("", "[ $? -eq 3 ]")
        assert set(re.findall(r"\$(\w+)", entrypoint)) <= told.keys()
        refuse_unknown(shlex.split(entrypoint))
        assert job["spec"]["suspend"] is True, "applying it would start it"


def test_rays_version_ports_and_workers_are_those_that_are_installed(
    manifests: list[Manifest],
) -> None:
    (told,) = (one["data"] for one in _of_kind(manifests, "ConfigMap"))
    for job in _of_kind(manifests, "RayJob"):
        cluster = job["spec"]["rayClusterSpec"]
        assert cluster["rayVersion"] == version("ray")
        room = 0.0
        for group in cluster["workerGroupSpecs"]:
            workers = Workers.model_validate(group)
            (container,) = workers.template["spec"]["containers"]
            asked = container["resources"]["requests"]
            each = float(asked.get("nvidia.com/gpu", asked["cpu"]))
            room += workers.maxReplicas * each
        assert float(told["REFOLD_WORKERS"]) == room
        for container in containers(cluster):
            for port in container["ports"]:
                assert port["containerPort"] == RAY_PORTS[port["name"]]
            named = {port["name"] for port in container["ports"]}
            assert {
                container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")
            } <= named


def test_the_service_runs_a_command_that_there_is_on_the_port_that_is_asked(
    manifests: list[Manifest],
) -> None:
    (told,) = (one["data"] for one in _of_kind(manifests, "ConfigMap"))
    (serve,) = (
        one for one in _of_kind(manifests, "Deployment") if one["metadata"]["name"] == "serve"
    )
    (container,) = containers(serve)
    named = re.findall(r"\$\((\w+)\)", " ".join(container["command"]))
    assert set(named) <= told.keys()
    refuse_unknown(container["command"])
    (port,) = container["ports"]
    command = container["command"]
    assert command[command.index("--port") + 1] == str(port["containerPort"])
    asked = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert asked <= {route.path for route in health.router.routes}
    (service,) = _of_kind(manifests, "Service")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    labels = serve["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    for variable in container["env"]:
        name = variable["name"].removeprefix(SERVE_PREFIX).lower()
        ServeSettings(**{name: variable["value"]})
    folders = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["env"][0]["value"].rsplit("/", 1)[0] in folders


def test_images_are_named_by_this_release(manifests: list[Manifest]) -> None:
    images = {one["image"] for manifest in manifests for one in containers(manifest)}
    (image,) = images
    assert re.fullmatch(rf"\S*refold:{re.escape(__version__)}-(cpu|cuda)", image)


def _configured(**values: Any) -> KubernetesWorkerJobConfiguration:
    """What Prefect's worker makes of the template, less what it would ask its server for."""
    template = json.loads((KUBERNETES / "work-pool.json").read_text())
    usual = {
        name: one["default"]
        for name, one in template["variables"]["properties"].items()
        if "default" in one
    }
    return KubernetesWorkerJobConfiguration(
        **apply_values(template["job_configuration"], {**usual, **values})
    )


def test_prefects_worker_makes_a_job_of_the_template_that_a_cluster_takes() -> None:
    made = _configured(name="nightly", command="prefect flow-run execute", env={"A": "b"})
    job = made.job_manifest
    spec = job["spec"]["template"]["spec"]
    # Prefect asks for these two in a place where Kubernetes has none; it passes over them.
    assert (spec.pop("parallelism"), spec.pop("completions")) == (1, 1)
    (container,) = spec["containers"]
    container["args"] = shlex.split(container["args"])  # as the worker does before it sends it
    container["env"] = [{"name": name, "value": value} for name, value in made.env.items()]
    kubernetes_validate.validate(job, RELEASE, strict=True)
    _refuse_privileges(job["spec"]["template"])
    assert container["image"] == f"refold:{__version__}-cpu"
    names = {(one["kind"], one["metadata"]["name"]) for one in merged(KUBERNETES / "base")}
    assert ("ServiceAccount", spec["serviceAccountName"]) in names
    assert ("ConfigMap", container["envFrom"][0]["configMapRef"]["name"]) in names
