"""docker/k8s: manifests by Kubernetes' own models, values by what the chart's schema says of them
(`chart.py`) and by what Dagster makes of them. Helm applies the schema itself when it installs."""

import copy
from typing import Any

import dagster as dg
import kubernetes.client as models
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

from tests.pipeline.cluster.chart import faults
from tests.pipeline.cluster.deployment import DOCKER

K8S = DOCKER / "k8s"
KINDS = {
    "Job": models.V1Job,
    "PersistentVolumeClaim": models.V1PersistentVolumeClaim,
    "ConfigMap": models.V1ConfigMap,
    "Service": models.V1Service,
    "StatefulSet": models.V1StatefulSet,
}


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((K8S / name).read_text()))


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    (found,) = manifests("values.yaml")
    return found


@pytest.fixture(scope="module")
def launcher(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = values["runLauncher"]["config"]["k8sRunLauncher"]
    return found


def model_of(manifest: dict[str, Any]) -> Any:
    """Return a manifest as Kubernetes' model; a field it does not have is an error."""
    kind = KINDS[manifest["kind"]]
    return k8s_model_from_dict(kind, k8s_snake_case_dict(kind, manifest))


@pytest.mark.parametrize("name", ["train-job.yaml", "storage.yaml", "postgres.yaml"])
def test_manifests_are_what_kubernetes_knows(name: str) -> None:
    assert all(model_of(manifest).metadata.name for manifest in manifests(name))


def test_misspelt_field_would_be_found() -> None:
    (job,) = manifests("train-job.yaml")
    job["spec"]["backofLimit"] = 1
    with pytest.raises(Exception, match="backof"):
        model_of(job)


def test_training_asks_for_a_gpu_and_is_confined() -> None:
    (job,) = manifests("train-job.yaml")
    pod = model_of(job).spec.template.spec
    (container,) = pod.containers
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    assert pod.security_context.run_as_non_root
    assert container.security_context.read_only_root_filesystem
    assert container.security_context.capabilities.drop == ["ALL"]
    assert not pod.automount_service_account_token


def test_claims_are_those_that_are_made(launcher: dict[str, Any]) -> None:
    made = {
        one["metadata"]["name"]
        for one in manifests("storage.yaml")
        if one["kind"] == "PersistentVolumeClaim"
    }
    (job,) = manifests("train-job.yaml")
    volumes = [*launcher["volumes"], *job["spec"]["template"]["spec"]["volumes"]]
    asked = {
        one["persistentVolumeClaim"]["claimName"]
        for one in volumes
        if "persistentVolumeClaim" in one
    }
    assert asked == made


def test_values_are_those_that_the_chart_knows(values: dict[str, Any]) -> None:
    assert faults(values) == []


@pytest.mark.parametrize(
    ("path", "name", "wrong"),
    [
        ("dagsterWebserver", "replicaCount", "1"),
        ("dagsterWebserver", "replicas", 1),
        ("dagsterDaemon", "runCoordinater", {}),
        ("dagsterDaemon.runCoordinator", "type", "Queued"),
        ("dagsterDaemon.securityContext", "readOnlyRootFileSystem", True),
        ("runLauncher.config.k8sRunLauncher", "envSecret", []),
        ("runLauncher.config.k8sRunLauncher.runK8sConfig", "podSpec", {}),
        ("postgresql", "host", "x"),
    ],
)
def test_value_that_the_chart_does_not_know_would_be_found(
    values: dict[str, Any], path: str, name: str, wrong: Any
) -> None:
    changed = copy.deepcopy(values)
    section = changed
    for part in path.split("."):
        section = section[part]
    section[name] = wrong
    assert any(name in told for told in faults(changed))


def test_launcher_accepts_what_the_chart_writes(launcher: dict[str, Any]) -> None:
    pod = launcher["runK8sConfig"]
    known = UserDefinedDagsterK8sConfig.from_dict(
        {"pod_spec_config": pod["podSpecConfig"], "job_spec_config": pod["jobSpecConfig"]}
    )
    written = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": "awareness-postgresql",
        "dagster_home": "/app/dagster_home",
        "image_pull_policy": launcher["imagePullPolicy"],
        "load_incluster_config": launcher["loadInclusterConfig"],
        "env_config_maps": [one["name"] for one in launcher["envConfigMaps"]],
        "volumes": launcher["volumes"],
        "volume_mounts": launcher["volumeMounts"],
        "resources": launcher["resources"],
        "security_context": launcher["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": dict(known.pod_spec_config),
            "job_spec_config": dict(known.job_spec_config),
        },
    }
    checked = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), written)
    assert checked.success, checked.errors


def test_dagster_accepts_queue_and_pools(values: dict[str, Any], tmp_path: Any) -> None:
    coordinator = values["dagsterDaemon"]["runCoordinator"]
    assert coordinator["type"] == "CustomRunCoordinator"
    custom = coordinator["config"]["customRunCoordinator"]
    config = {"run_coordinator": custom, **values["additionalInstanceConfig"]}
    config["telemetry"] = {"enabled": False}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 16


def test_database_is_the_one_that_is_made(values: dict[str, Any]) -> None:
    settings, service, server = manifests("storage.yaml")[-1], *manifests("postgres.yaml")[1:]
    host = service["metadata"]["name"]
    assert values["postgresql"]["postgresqlHost"] == host == server["spec"]["serviceName"]
    assert f"@{host}/awareness" in settings["data"]["AWARENESS_DB_PATH"]
    assert service["spec"]["selector"] == server["spec"]["selector"]["matchLabels"]


def test_no_value_is_a_secret(values: dict[str, Any]) -> None:
    assert values["generatePostgresqlPasswordSecret"] is False
    assert "postgresqlPassword" not in values["postgresql"]
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"
