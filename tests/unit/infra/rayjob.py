"""What KubeRay takes as a RayJob, as far as the manifests here use it.

Its own schema is not part of this project. Pod templates are held against Kubernetes' own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, strict=True)]
Parameters = dict[str, Annotated[str, Field(strict=True)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Metadata(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=47)]
    namespace: str


class _Autoscaler(_Strict):
    upscalingMode: Literal["Default", "Aggressive", "Conservative"]
    idleTimeoutSeconds: Count
    securityContext: dict[str, Any]
    resources: dict[str, Any]


class _Authentication(_Strict):
    mode: Literal["disabled", "token"]


class _Head(_Strict):
    rayStartParams: Parameters
    template: dict[str, Any]


class Workers(_Strict):
    groupName: str
    minReplicas: Count
    maxReplicas: Count
    rayStartParams: Parameters
    template: dict[str, Any]


class _Cluster(_Strict):
    rayVersion: str
    authOptions: _Authentication
    enableInTreeAutoscaling: bool
    autoscalerOptions: _Autoscaler
    headGroupSpec: _Head
    workerGroupSpecs: list[Workers]


class _Spec(_Strict):
    suspend: bool
    entrypoint: str
    backoffLimit: Count
    shutdownAfterJobFinishes: Literal[True]  # asked for where a job may be suspended
    ttlSecondsAfterFinished: Count
    submissionMode: Literal["K8sJobMode", "HTTPMode"]
    submitterPodTemplate: dict[str, Any]
    rayClusterSpec: _Cluster


class RayJob(_Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: _Metadata
    spec: _Spec
