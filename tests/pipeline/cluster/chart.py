"""What Dagster's Helm chart knows among its values, as far as ours go: names, kinds, Kubernetes'
own models. Facts of `helm/dagster/values.schema.json` (dagster-io/dagster, Apache-2.0, as of commit
bdb8547fab49), retold; the file itself is not here. Stricter in one thing: a name that is not in
these tables is a fault, even where the chart lets unknown names pass.

Limits: sections that `values.yaml` leaves to the chart's defaults are only named.
"""

from typing import Any

import kubernetes.client as models
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

_PULL = ("Always", "IfNotPresent", "Never")
_IMAGE = {"repository": str, "tag": str, "pullPolicy": _PULL}
_SERVICE = {"type": str, "port": int, "annotations": dict}
_POD = {
    "env": [models.V1EnvVar],
    "envConfigMaps": [models.V1ConfigMapEnvSource],
    "envSecrets": [models.V1SecretEnvSource],
    "labels": dict,
    "nodeSelector": dict,
    "affinity": models.V1Affinity,
    "tolerations": [models.V1Toleration],
    "podSecurityContext": models.V1PodSecurityContext,
    "securityContext": models.V1SecurityContext,
    "resources": models.V1ResourceRequirements,
    "readinessProbe": models.V1Probe,
    "livenessProbe": models.V1Probe,
    "startupProbe": dict,
    "annotations": dict,
    "schedulerName": str,
    "volumes": [models.V1Volume],
    "volumeMounts": [models.V1VolumeMount],
}
_CUSTOM = {"module": str, "class": str, "config": dict}
_LAUNCHER = {
    "image": _IMAGE,
    "imagePullPolicy": _PULL,
    "jobNamespace": str,
    "loadInclusterConfig": bool,
    "kubeconfigFile": str,
    "envConfigMaps": [models.V1ConfigMapEnvSource],
    "envSecrets": [models.V1SecretEnvSource],
    "envVars": [str],
    "volumeMounts": [models.V1VolumeMount],
    "volumes": [models.V1Volume],
    "labels": dict,
    "failPodOnRunFailure": bool,
    "resources": models.V1ResourceRequirements,
    "schedulerName": str,
    "securityContext": models.V1SecurityContext,
    "runK8sConfig": {
        "containerConfig": dict,
        "podSpecConfig": dict,
        "podTemplateSpecMetadata": dict,
        "jobSpecConfig": dict,
        "jobMetadata": dict,
    },
}
_DEPLOYMENT = {
    **_POD,
    "name": str,
    "image": _IMAGE,
    "dagsterApiGrpcArgs": [str],
    "codeServerArgs": [str],
    "includeConfigInLaunchedRuns": {"enabled": bool},
    "deploymentNamespace": str,
    "port": int,
    "initContainers": [models.V1Container],
    "sidecarContainers": [models.V1Container],
}
VALUES: dict[str, Any] = {
    "global": {
        "postgresqlSecretName": str,
        "dagsterHome": str,
        "serviceAccountName": str,
        "celeryConfigSecretName": str,
    },
    "generatePostgresqlPasswordSecret": bool,
    "generateCeleryConfigSecret": bool,
    "telemetry": {"enabled": bool},
    "dagsterWebserver": {
        **_POD,
        "replicaCount": int,
        "image": _IMAGE,
        "nameOverride": str,
        "pathPrefix": str,
        "service": _SERVICE,
        "workspace": dict,
        "deploymentLabels": dict,
        "enableReadOnly": bool,
        "dbStatementTimeout": int,
        "dbPoolRecycle": int,
        "logLevel": str,
        "initContainerResources": models.V1ResourceRequirements,
    },
    "dagsterDaemon": {
        **_POD,
        "enabled": bool,
        "image": _IMAGE,
        "runCoordinator": {
            "enabled": bool,
            "type": ("QueuedRunCoordinator", "CustomRunCoordinator"),
            "config": {"queuedRunCoordinator": dict, "customRunCoordinator": _CUSTOM},
        },
        "heartbeatTolerance": int,
        "deploymentLabels": dict,
        "runMonitoring": dict,
        "runRetries": dict,
        "sensors": dict,
        "schedules": dict,
        "initContainerResources": models.V1ResourceRequirements,
    },
    "additionalInstanceConfig": dict,
    "runLauncher": {
        "type": ("CeleryK8sRunLauncher", "K8sRunLauncher", "CustomRunLauncher"),
        "config": {
            "celeryK8sRunLauncher": dict,
            "k8sRunLauncher": _LAUNCHER,
            "customRunLauncher": _CUSTOM,
        },
    },
    "dagster-user-deployments": {
        "enabled": bool,
        "enableSubchart": bool,
        "imagePullSecrets": [models.V1LocalObjectReference],
        "deployments": [_DEPLOYMENT],
    },
    "postgresql": {
        "image": _IMAGE,
        "enabled": bool,
        "postgresqlHost": str,
        "postgresqlUsername": str,
        "postgresqlPassword": str,
        "postgresqlDatabase": str,
        "postgresqlParams": dict,
        "postgresqlScheme": str,
        "service": {"port": int},
    },
    "rabbitmq": {"enabled": bool},
    "redis": {"enabled": bool},
    "flower": {"enabled": bool},
    **dict.fromkeys(
        ("ingress", "computeLogManager", "scheduler", "pythonLogs", "busybox", "migrate"), dict
    ),
    **dict.fromkeys(("serviceAccount", "retention"), dict),
    "imagePullSecrets": [models.V1LocalObjectReference],
}


def faults(values: Any, shape: Any = VALUES, path: str = "") -> list[str]:
    """Return what the chart would refuse or pass over, by where it stands; none: it fits."""
    if isinstance(shape, dict):
        return _of_object(values, shape, path)
    if isinstance(shape, list):
        if not isinstance(values, list):
            return [f"{path}: no list"]
        each = enumerate(values)
        return [told for place, one in each for told in faults(one, shape[0], f"{path}[{place}]")]
    if isinstance(shape, tuple):
        return [] if values in shape else [f"{path}: {values!r} is none of {shape}"]
    if shape in (str, int, bool, dict):
        return [] if type(values) is shape else [f"{path}: {values!r} is no {shape.__name__}"]
    return _of_model(values, shape, path)


def _of_object(values: Any, shape: dict[str, Any], path: str) -> list[str]:
    if not isinstance(values, dict):
        return [f"{path}: no object"]
    found = [f"{path}.{name}: unknown" for name in values if name not in shape]
    for name, one in values.items():
        if name in shape:
            found += faults(one, shape[name], f"{path}.{name}")
    return found


def _of_model(values: Any, model: Any, path: str) -> list[str]:
    try:
        k8s_model_from_dict(model, k8s_snake_case_dict(model, values))
    except Exception as error:  # what Dagster raises for an unknown name is no narrower
        return [f"{path}: {error}"]
    return []
