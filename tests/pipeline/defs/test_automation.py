"""What starts by itself: nothing until it is switched on; then in its hours, and not too much."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import dagster as dg
import pytest

from awareness_pipeline import config, flow
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.defs.automation import WITHIN_BOUNDS, sensors
from awareness_pipeline.defs.bounds import Bounds, bounds, waiting
from awareness_pipeline.defs.location import location
from awareness_pipeline.defs.notice import tell
from tests.pipeline.defs.test_checks_collect import execute

NIGHT = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
LANGUAGES = ("Python", "JavaScript", "Go")
SHARDS = {"000", "001", "002", "003"}
SECRET = "T0KEN-in-the-path"


class Ticks:
    """A sensor's ticks one after another, on an instance where languages were asked."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.definitions = location(config.load("demo", {}))
        self.cursor = None
        self.at(NIGHT)

    def at(self, time: datetime) -> dict[str, set[str]]:
        """What is asked for at a time, by asset."""
        result = dg.evaluate_automation_conditions(
            self.definitions,
            self.instance,
            asset_selection=dg.AssetSelection.all(),
            evaluation_time=time,
            cursor=self.cursor,
        )
        self.cursor = result.cursor
        asked = {
            step.artifact: result.get_requested_partitions(dg.AssetKey(step.artifact))
            for step in flow.FLOW
        }
        return {artifact: {str(key) for key in keys} for artifact, keys in asked.items() if keys}

    def discovered(self, *, within: bool = True) -> None:
        for language in LANGUAGES:
            done = dg.AssetMaterialization("repositories", partition=language)
            self.instance.report_runless_asset_event(done)
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=WITHIN_BOUNDS.asset_key, check_name=WITHIN_BOUNDS.name, passed=within
            )
        )


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance)


def test_what_was_found_is_cloned_once_the_hours_are_open(ticks: Ticks) -> None:
    ticks.discovered()
    assert ticks.at(NIGHT + timedelta(minutes=1)) == {}
    asked = ticks.at(NIGHT + timedelta(hours=1))
    assert asked["clones"] == SHARDS
    assert not {"data_evidence", "gca_checkpoint", "evaluation"} & asked.keys()
    assert ticks.at(NIGHT + timedelta(hours=1, minutes=1)) == {}


def test_what_comes_after_hours_waits_for_the_next_day(ticks: Ticks) -> None:
    assert ticks.at(NIGHT + timedelta(hours=1)) == {}
    assert ticks.at(NIGHT + timedelta(hours=7)) == {}
    ticks.discovered()
    assert ticks.at(NIGHT + timedelta(hours=8)) == {}
    assert ticks.at(NIGHT + timedelta(hours=25))["clones"] == SHARDS


def test_more_than_the_bounds_waits_for_a_person(ticks: Ticks) -> None:
    ticks.discovered(within=False)
    assert ticks.at(NIGHT + timedelta(hours=1)) == {}
    ticks.discovered(within=True)
    assert ticks.at(NIGHT + timedelta(hours=2))["clones"] == SHARDS


def test_all_is_off_and_one_switch_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, running in (("", False), ("off", False), ("on", True)):
        monkeypatch.setenv("AWARENESS_AUTOMATION", said)
        definitions = location(config.load("demo", {}))
        repository = definitions.get_repository_def()
        states = {one.default_status.value for one in repository.schedule_defs}
        states |= {one.default_status.value for one in repository.sensor_defs}
        assert states == {"RUNNING" if running else "STOPPED"}
        assert {one.name for one in repository.sensor_defs} == {"downstream", "failures"}
        graph = definitions.resolve_asset_graph()
        policies = {
            key.to_user_string()
            for key in graph.get_all_asset_keys()
            if graph.get(key).freshness_policy
        }
        partitioned = {step.artifact for step in flow.FLOW if step.partitioned_by}
        assert policies == (partitioned if running else set())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWARENESS_AUTOMATION", "yes"),
        ("AWARENESS_AUTOMATION_HOURS", "6"),
        ("AWARENESS_AUTOMATION_HOURS", "6-24"),
        ("AWARENESS_AUTOMATION_HOURS", "6-6"),
        ("AWARENESS_AUTOMATION_MAX_GB", "-1"),
        ("AWARENESS_AUTOMATION_MAX_REPOSITORIES", "many"),
    ],
)
def test_bounds_that_mean_nothing_name_their_variable(name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        bounds({name: value})


def test_bounds_come_from_the_environment() -> None:
    assert bounds({}) == Bounds(on=False, opens=6, closes=12, repositories=1_000, gigabytes=50)
    env = {"AWARENESS_AUTOMATION_HOURS": "22-4", "AWARENESS_AUTOMATION_MAX_GB": "7"}
    assert bounds(env) == Bounds(opens=22, closes=4, gigabytes=7)


def test_what_waits_is_chosen_and_not_cloned(copy: Settings) -> None:
    assert waiting(copy).repositories == 0
    lost = sorted(copy.paths.artifact("clones").glob("*/*/*.record.json"))[:2]
    for path in lost:
        path.unlink()
    ids = ", ".join(path.name.split(".")[0] for path in lost)
    execute(copy, f"UPDATE repositories SET size_kb = {3 * 1024**2} WHERE repo_id IN ({ids})")
    found = waiting(copy)
    assert (found.repositories, found.gigabytes) == (2, 6.0)


def test_the_guard_is_a_check_that_warns(copy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in copy.paths.artifact("clones").glob("*/*/*.record.json"):
        path.unlink()
    monkeypatch.setenv("AWARENESS_AUTOMATION_MAX_REPOSITORIES", "3")
    result = (
        location(copy)
        .resolve_implicit_global_asset_job_def()
        .get_subset(asset_check_selection={WITHIN_BOUNDS}, asset_selection=set())
        .execute_in_process()
    )
    (found,) = result.get_asset_check_evaluations()
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "repositories wait, 3 may start alone" in (found.description or "")


class Heard(BaseHTTPRequestHandler):
    """A webhook that keeps what it was told."""

    said: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.said.append((self.path, json.loads(body)["text"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    Heard.said.clear()
    with HTTPServer(("127.0.0.1", 0), Heard) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}"
        server.shutdown()
        thread.join()


def test_a_failed_run_is_told_to_the_webhook_and_its_address_to_nobody(
    webhook: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")

    @dg.op
    def breaks() -> None:
        raise UserError("there is no model")

    @dg.job
    def build() -> None:
        breaks()

    monkeypatch.setenv("AWARENESS_WEBHOOK_URL", webhook)
    failures = sensors(Bounds())[1]
    with dg.DagsterInstance.ephemeral() as instance:
        result = build.execute_in_process(instance=instance, raise_on_error=False)
        event = next(one for one in result.all_events if one.is_run_failure)
        context = dg.build_run_status_sensor_context(
            "failures", event, instance, result.dagster_run
        ).for_run_failure()
        failures(context)
    ((path, said),) = Heard.said
    assert path == f"/{SECRET}"
    assert said == f"Awareness: build, run {result.run_id}: breaks: {_line('there is no model')}"
    assert SECRET not in "".join((*capfd.readouterr(), caplog.text))


def _line(said: str) -> str:
    return f"awareness_model.config.UserError: {said}"


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:1/{SECRET}", f"file:///{SECRET}", f"http://[{SECRET}", SECRET]
)
def test_a_webhook_that_does_not_answer_stops_nothing_and_shows_no_address(url: str) -> None:
    said = tell("line", url)
    assert said.startswith(("the webhook was not reached: ", "AWARENESS_WEBHOOK_URL is no"))
    assert SECRET not in said


def test_without_a_webhook_nobody_is_told() -> None:
    assert "nobody is told" in tell("line", "")
