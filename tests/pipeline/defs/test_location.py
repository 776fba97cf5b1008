"""Dagster loads the flow as `flow.py` tells it, quickly and without torch."""

import itertools
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from dagster import QueuedRunCoordinator
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from awareness_pipeline import config, flow
from awareness_pipeline.config import PROJECT, Settings, UserError
from awareness_pipeline.defs.location import location
from tests.pipeline.defs.conftest import new_home


@pytest.fixture(scope="module")
def settings() -> Settings:
    return config.load("demo", {})


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return location(settings)


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


def test_definitions_load_and_validate(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


@pytest.mark.parametrize("recipe", list(config.RECIPES))
def test_every_recipe_has_definitions(recipe: str) -> None:
    dg.Definitions.validate_loadable(location(config.load(recipe, {})))


def test_module_of_the_workspace_loads_without_torch_or_matplotlib() -> None:
    code = (
        "import sys; from awareness_pipeline.definitions import defs\n"
        "heavy = {'torch', 'transformers', 'deepspeed', 'matplotlib', 'lance'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_assets_come_in_flow_order(graph: AssetGraph) -> None:
    names = [key.to_user_string() for key in graph.toposorted_asset_keys]
    assert names == [step.artifact for step in flow.FLOW]


def test_edges_are_what_steps_read(graph: AssetGraph) -> None:
    edges = {
        key.to_user_string(): _names(graph.get(key).parent_keys)
        for key in graph.toposorted_asset_keys
    }
    assert edges == {step.artifact: set(step.upstream) for step in flow.FLOW}


def test_every_asset_says_what_it_is(graph: AssetGraph) -> None:
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        assert len(node.description or "") > 80
        assert node.kinds
        assert node.owners
        assert node.group_name != "default"
        assert node.check_keys, f"{key} has no check"


def test_groups_sort_in_flow_order(graph: AssetGraph) -> None:
    groups = [graph.get(key).group_name for key in graph.toposorted_asset_keys]
    assert groups == sorted(groups)


def test_partitions_are_languages_then_shards_then_none(
    graph: AssetGraph, settings: Settings
) -> None:
    for step in flow.FLOW:
        found = graph.get(dg.AssetKey(step.artifact)).partitions_def
        if step.partitioned_by:
            assert found is not None
            assert tuple(found.get_partition_keys()) == step.partitions(settings)
        else:
            assert found is None


@pytest.mark.parametrize(
    ("artifact", "upstream", "expected"),
    [
        ("clones", "repositories", {"Python", "JavaScript", "Go"}),
        ("commits", "clones", {"002"}),
        ("curated_commits", "commits", {"000", "001", "002", "003"}),
        ("task_prompts", "curated_commits", {"002"}),
        ("teacher_traces", "clones", {"002"}),
        ("memory_shards", "teacher_traces", {"002"}),
    ],
)
def test_a_shard_depends_on(
    graph: AssetGraph, artifact: str, upstream: str, expected: set[str]
) -> None:
    ours, theirs = (graph.get(dg.AssetKey(name)).partitions_def for name in (artifact, upstream))
    assert ours is not None
    subset = ours.empty_subset().with_partition_keys(["002"])
    mapping = graph.get_partition_mapping(dg.AssetKey(artifact), dg.AssetKey(upstream))
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, ours, theirs)
    assert set(found.partitions_subset.get_partition_keys()) == expected


def test_sharded_assets_take_a_range_in_one_run(graph: AssetGraph) -> None:
    for step in flow.FLOW:
        policy = graph.get(dg.AssetKey(step.artifact)).backfill_policy
        assert (policy == dg.BackfillPolicy.single_run()) == bool(step.partitioned_by)


def test_three_jobs_hold_the_flow_between_them(definitions: dg.Definitions) -> None:
    jobs = {name: definitions.resolve_job_def(name) for name in ("discover", "build", "learn")}
    held = [_names(job.asset_layer.selected_asset_keys) for job in jobs.values()]
    assert set().union(*held) == {step.artifact for step in flow.FLOW}
    assert not any(one & other for one, other in itertools.combinations(held, 2))
    assert all(job.asset_layer.asset_graph.asset_check_keys for job in jobs.values())


def test_executor_is_chosen_by_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location(settings).executor is dg.in_process_executor
    monkeypatch.setenv("AWARENESS_EXECUTOR", "multiprocess")
    assert location(settings).executor is dg.multiprocess_executor
    monkeypatch.setenv("AWARENESS_EXECUTOR", "celery")
    with pytest.raises(UserError, match="choose one of in_process, multiprocess"):
        location(settings)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """The project's instance, as Dagster's own loader reads it."""
    home = new_home(tmp_path_factory.mktemp("instance") / "home")
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def test_instance_sends_nothing_and_queues_runs_a_few_at_a_time(
    instance: dg.DagsterInstance,
) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 4


def test_instance_starts_dead_runs_once_more_and_frees_their_places(
    instance: dg.DagsterInstance,
) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 1
    assert not instance.run_retries_retry_on_asset_or_op_failure


def test_search_clones_model_calls_and_gpu_have_pools_of_their_own(
    instance: dg.DagsterInstance, definitions: dg.Definitions
) -> None:
    pools = instance.get_concurrency_config().pool_config
    assert pools.default_pool_limit == 2
    held = {
        name: getattr(definitions.resolve_job_def(job).get_node_named(name).definition, "pool", "")
        for job, names in (
            ("discover", ("repositories",)),
            ("build", ("clones", "commits", "task_prompts", "teacher_traces", "memory_shards")),
            ("learn", ("data_evidence", "gca_checkpoint", "evaluation")),
        )
        for name in names
    }
    assert held == {
        "repositories": "github_api",
        "clones": "git",
        "commits": None,
        **dict.fromkeys(("task_prompts", "teacher_traces"), "llm"),
        **dict.fromkeys(("memory_shards", "data_evidence", "gca_checkpoint", "evaluation"), "gpu"),
    }


def test_workspace_and_dg_name_the_same_location() -> None:
    module = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"][0]
    pyproject = (PROJECT / "pyproject.toml").read_text()
    assert module["python_module"] == {
        "module_name": "awareness_pipeline.definitions",
        "location_name": "awareness",
    }
    assert 'code_location_name = "awareness"' in pyproject


def _names(keys: object) -> set[str]:
    assert isinstance(keys, set | frozenset)
    return {key.to_user_string() for key in keys}
