"""docker/compose.yaml and docker/dagster.yaml: what the specification says, and what we promise."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from dagster._core.instance.ref import InstanceRef
from dagster_docker import DockerRunLauncher
from docker.models.containers import _create_container_args

from awareness_pipeline.config import PROJECT
from tests.pipeline.cluster.deployment import DOCKER, ENTRYPOINT

ONCE = {"secrets", "migrate", "models", "train"}
"""Services that end by themselves."""


def filled(text: str) -> str:
    """Return a compose file's text with the default of each variable."""
    return re.sub(r"\$\{\w+(?::[-?]([^}]*))?\}", lambda found: found[1] or "", text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found = yaml.safe_load(filled((DOCKER / "compose.yaml").read_text()))
    return {key: value for key, value in found.items() if not key.startswith("x-")}


@pytest.fixture(scope="module")
def instance() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    return found


def test_compose_file_is_what_the_specification_allows(compose: dict[str, Any]) -> None:
    read = PyCompose.from_yaml(yaml.safe_dump(compose))
    read.validate()
    assert set(read.service_names()) == set(compose["services"])


def test_misspelt_option_would_be_found(compose: dict[str, Any]) -> None:
    wrong = yaml.safe_dump(compose).replace("healthcheck:", "health_check:")
    with pytest.raises(ValueError, match="health_check"):
        PyCompose.from_yaml(wrong)


def test_ports_are_on_loopback_alone(compose: dict[str, Any]) -> None:
    ports = [port for one in compose["services"].values() for port in one.get("ports", ())]
    assert ports == ["127.0.0.1:3000:3000"]


def test_nobody_is_root_but_who_hands_out_secrets(compose: dict[str, Any]) -> None:
    roots = {name for name, one in compose["services"].items() if one["user"].startswith("0")}
    assert roots == {"secrets"}
    assert compose["services"]["secrets"]["network_mode"] == "none"


@pytest.mark.parametrize("key", ["read_only", "init", "mem_limit", "pids_limit"])
def test_every_service_is_confined(compose: dict[str, Any], key: str) -> None:
    assert all(one.get(key) for one in compose["services"].values())


def test_every_service_drops_capabilities(compose: dict[str, Any]) -> None:
    for one in compose["services"].values():
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]


def test_lasting_services_are_watched_and_started_again(compose: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        if name not in ONCE:
            assert one["restart"] == "unless-stopped", name
            assert one["healthcheck"]["test"], name


def test_secrets_are_files_and_no_variables(
    compose: dict[str, Any], instance: dict[str, Any]
) -> None:
    script = Path(ENTRYPOINT).read_text()
    secret = set(re.findall(r"\b[A-Z_]{6,}\b", script.split("for name in")[1].split("do")[0]))
    given = {name for one in compose["services"].values() for name in one.get("environment", ())}
    passed = set(instance["run_launcher"]["config"]["env_vars"])
    assert "GITHUB_TOKENS" in secret
    assert not secret & (given | passed)
    files = {"postgres_password", "github_tokens", "teacher_key", "webhook_url", "aws_credentials"}
    assert set(compose["secrets"]) == set(compose["services"]["secrets"]["secrets"]) == files


def test_every_secret_has_a_file_where_the_image_looks(compose: dict[str, Any]) -> None:
    """What the code location's sensor and the runs read by `NAME_FILE` is handed out."""
    recipe = (DOCKER / "pipeline.Dockerfile").read_text()
    wanted = set(re.findall(r"=/run/secrets/(\w+)", recipe))
    assert wanted == set(compose["secrets"])
    (_, script) = "".join(compose["services"]["secrets"]["command"]).split("for name in ")
    assert set(script.split(";")[0].split()) == {
        "postgres_password",
        "webhook_url",
        "aws_credentials",
    }
    assert "code-secrets:/run/secrets:ro" in compose["services"]["code"]["volumes"]


def test_runs_that_share_a_bucket_have_a_folder_of_their_own(
    compose: dict[str, Any], instance: dict[str, Any]
) -> None:
    volumes = instance["run_launcher"]["config"]["container_kwargs"]["volumes"]
    assert "/app/copy" in volumes
    assert "/app/copy" in compose["services"]["code"]["volumes"]
    assert all("/app/copy" in path.read_text() for path in DOCKER.glob("*.Dockerfile"))


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    recipes = [path.read_text() for path in sorted(DOCKER.glob("*.Dockerfile"))]
    bases = [one for text in recipes for one in re.findall(r"^ARG \w+_IMAGE=(\S+)", text, re.M)]
    images = [one["image"] for one in compose["services"].values()]
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+", image) for image in (*bases, *images))
    used = [one for text in recipes for one in re.findall(r"^FROM (\S+)", text, re.M)]
    assert all(one.startswith("${") or one == "base" for one in used)


def test_build_has_all_that_the_images_copy() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    wanted = set()
    for recipe in DOCKER.glob("*.Dockerfile"):
        lines = re.findall(r"^COPY ((?:--chmod=\d+ )?)(?!--from)(.+)$", recipe.read_text(), re.M)
        wanted |= {source for _, line in lines for source in line.split()[:-1]}
    assert wanted == kept
    assert all((PROJECT / one).exists() for one in wanted)


def test_runs_get_networks_and_volumes_of_the_compose_file(
    compose: dict[str, Any], instance: dict[str, Any]
) -> None:
    launcher = instance["run_launcher"]["config"]
    networks = {one["name"] for one in compose["networks"].values()}
    volumes = {one["name"] for one in compose["volumes"].values()}
    assert set(launcher["networks"]) <= networks
    named = [one for one in launcher["container_kwargs"]["volumes"] if ":" in one]
    mounted = {one.split(":")[0] for one in named}
    assert mounted <= volumes


def test_daemon_has_every_variable_that_runs_get(
    compose: dict[str, Any], instance: dict[str, Any]
) -> None:
    passed = instance["run_launcher"]["config"]["env_vars"]
    assert set(passed) <= set(compose["services"]["daemon"]["environment"])


def test_dagster_accepts_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "USER", "PASSWORD", "DB"):
        monkeypatch.setenv(f"DAGSTER_PG_{name}", "x")
    launcher = InstanceRef.from_dir(str(DOCKER)).run_launcher
    assert isinstance(launcher, DockerRunLauncher)
    asked = {**launcher.container_kwargs, "image": "x", "version": "1.50"}
    # As the launcher hands it on; docker's own client refuses what it does not know.
    asked.pop("stop_timeout")
    host = _create_container_args(asked)["host_config"]
    assert host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"]


@pytest.mark.parametrize("part", ["concurrency", "run_retries", "run_coordinator", "freshness"])
def test_rules_are_those_of_one_machine(instance: dict[str, Any], part: str) -> None:
    alone = yaml.safe_load((PROJECT / "dagster_home" / "dagster.yaml").read_text())
    assert instance[part] == alone[part]


def test_entrypoint_reads_secrets_from_files(tmp_path: Path) -> None:
    said = "a b'\"$(id) \\ c"
    (tmp_path / "tokens").write_text(f"{said}\n")
    env = {
        "PATH": os.environ["PATH"],
        "GITHUB_TOKENS_FILE": str(tmp_path / "tokens"),
        "AWARENESS_TEACHER_KEY_FILE": str(tmp_path / "none"),
    }
    told = subprocess.run(
        [ENTRYPOINT, "printenv", "GITHUB_TOKENS"], env=env, capture_output=True, text=True
    )
    assert told.stdout == f"{said}\n"
    absent = subprocess.run([ENTRYPOINT, "printenv", "AWARENESS_TEACHER_KEY"], env=env)
    assert absent.returncode == 1


@pytest.mark.parametrize(("said", "status"), [("http://minio:9000", 0), ("", 1)])
def test_entrypoint_hands_on_an_endpoint_that_is_set(said: str, status: int) -> None:
    env = {"PATH": os.environ["PATH"], "S3_ENDPOINT": said}
    command = [ENTRYPOINT, "printenv", "AWS_ENDPOINT_URL"]
    told = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (status, said)


def test_entrypoint_stops_where_a_secret_cannot_be_read(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PGPASSWORD_FILE": str(tmp_path)}
    failed = subprocess.run([ENTRYPOINT, "echo", "started"], env=env, capture_output=True)
    assert failed.returncode != 0
    assert not failed.stdout
