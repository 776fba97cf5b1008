"""DeepSpeed's settings: what goes in, and what is refused before anything starts."""

import pytest

from awareness_model.config import TrainingConfig, UserError, deepspeed_config, piece_size


def test_a_batch_is_shared_by_ranks_and_pieces():
    training = TrainingConfig(batch_size=24, accumulate=3)
    found = deepspeed_config(training, world_size=4)
    assert piece_size(training, 4) == 2
    names = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size")
    assert [found[name] for name in names] == [2, 3, 24]


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_every_stage_of_zero(stage):
    zero = deepspeed_config(TrainingConfig(zero_stage=stage))["zero_optimization"]
    assert zero["stage"] == stage
    assert "offload_optimizer" not in zero


def test_optimizer_state_on_the_host_needs_no_compiled_optimizer():
    found = deepspeed_config(TrainingConfig(zero_stage=1, offload_optimizer=True))
    assert found["zero_optimization"]["offload_optimizer"] == {"device": "cpu"}
    assert found["zero_force_ds_cpu_optimizer"] is False


@pytest.mark.parametrize(
    ("precision", "kind"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")]
)
def test_half_precision_is_autocasts_and_sums_gradients_in_fp32(precision, kind):
    found = deepspeed_config(TrainingConfig(precision=precision))
    enabled = precision != "fp32"
    cast = {"enabled": enabled, "dtype": kind, "lower_precision_safe_modules": []}
    assert found["torch_autocast"] == cast
    assert "bf16" not in found
    assert "fp16" not in found


@pytest.mark.parametrize(
    ("changes", "ranks", "said"),
    [
        ({"batch_size": 8}, 3, "choose a multiple of 3"),
        ({"batch_size": 8, "accumulate": 3}, 2, "choose a multiple of 6"),
        ({"accumulate": 0}, 1, "cannot be shared"),
        ({"zero_stage": 4}, 1, "zero_stage is 0, 1, 2 or 3"),
        ({"precision": "int8"}, 1, "precision is fp32, bf16, fp16"),
        ({"zero_stage": 0, "offload_optimizer": True}, 1, "needs zero_stage"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, ranks, said):
    with pytest.raises(UserError, match=said):
        deepspeed_config(TrainingConfig(**changes), ranks)
