"""How many partitions a run of a backfill takes: all on one machine, a few where runs are many."""

import dagster as dg
import pytest

from awareness_pipeline import flow
from awareness_pipeline.config import UserError
from awareness_pipeline.defs.partitions import backfill_policy

PER_RUN = "AWARENESS_PARTITIONS_PER_RUN"


def policy(stage: str) -> dg.BackfillPolicy | None:
    return backfill_policy(flow.step_named(stage))


@pytest.mark.parametrize("said", ["", None])
def test_one_run_takes_all_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.delenv(PER_RUN, raising=False)
    if said is not None:
        monkeypatch.setenv(PER_RUN, said)
    assert policy("clone") == dg.BackfillPolicy.single_run()
    assert policy("train") is None


def test_shards_are_shared_out_and_discovery_stays_one_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PER_RUN, "3")
    assert policy("encode") == dg.BackfillPolicy.multi_run(3)
    assert policy("discover") == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize("said", ["0", "-1", "all", "1.5", "9999999"])
def test_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(PER_RUN, said)
    with pytest.raises(UserError, match=PER_RUN):
        policy("clone")
