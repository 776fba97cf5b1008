"""A training on the page of its asset as it runs: its numbers are there before it is done."""

from pathlib import Path

import dagster as dg

from awareness_pipeline.defs.live import OBSERVATIONS, observed
from awareness_pipeline.progress import tell
from tests.pipeline.defs.conftest import new_home

KEY = dg.AssetKey("gca_checkpoint")


def seen(instance: dg.DagsterInstance) -> list[dg.AssetObservation]:
    found = instance.fetch_observations(KEY, limit=1000).records
    return [one.asset_observation for one in reversed(found) if one.asset_observation]


def test_numbers_are_on_the_asset_while_it_is_at_work(tmp_path: Path) -> None:
    during = []

    @dg.asset(name="gca_checkpoint")
    def training(context: dg.AssetExecutionContext) -> None:
        with observed(context, "gca_checkpoint"):
            tell(1, 2, {"loss": 2.5, "tokens_per_second": 100.0, "memory_mib": 900.0})
            during.extend(seen(context.instance))
            tell(2, 2, {"loss": 1.5, "S": 0.25})

    home = new_home(tmp_path / "dagster_home")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert dg.materialize([training], instance=instance).success
        ended = seen(instance)
    (first,) = during
    assert first.description == "step 1 of 2: loss 2.500, 100 tokens/s, 900 MiB"
    assert first.metadata["loss now"].value == 2.5
    assert [one.metadata["step"].value for one in ended] == [1, 2]
    assert ended[1].metadata["S on the probe"].value == 0.25


def test_a_long_training_is_not_told_step_by_step(tmp_path: Path) -> None:
    @dg.asset(name="gca_checkpoint")
    def training(context: dg.AssetExecutionContext) -> None:
        with observed(context, "gca_checkpoint"):
            for step in range(1, 501):
                tell(step, 500, {"loss": 1.0})

    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        assert dg.materialize([training], instance=instance).success
        steps = [one.metadata["step"].value for one in seen(instance)]
    assert len(steps) == OBSERVATIONS + 1
    assert (steps[0], steps[-1]) == (1, 500)
