"""AdamW's moments as a file: fp32 tensors by the parameter's name, and the number of steps.

    <checkpoint>/engine/moments.safetensors    `<parameter>.exp_avg`, `<parameter>.exp_avg_sq`

Nothing in it depends on ranks, ZeRO stage or engine. Limits: AdamW alone.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from awareness_model.config import UserError

MOMENTS = "moments.safetensors"
KINDS = ("exp_avg", "exp_avg_sq")
"""The two moments, under torch's names."""


def of(optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return the moments by parameter and kind; zeros where a parameter never had a gradient."""
    return {
        f"{name}.{kind}": optimizer.state[one].get(kind, torch.zeros_like(one))
        for name, one in named.items()
        for kind in KINDS
    }


def put(
    optimizer: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
    moments: Mapping[str, Tensor],
    taken: float,
) -> None:
    """Give an AdamW the moments of each parameter, and the steps behind them."""
    for name, one in named.items():
        state = {kind: moments[f"{name}.{kind}"].to(one.device) for kind in KINDS}
        optimizer.state[one] = {"step": torch.tensor(taken), **state}


def steps(optimizer: torch.optim.Optimizer) -> float:
    """Return the steps an AdamW has taken."""
    return max((float(state["step"]) for state in optimizer.state.values()), default=0.0)


def save(folder: Path, moments: Mapping[str, Tensor], taken: float) -> None:
    """Write moments and steps into a folder that is not there yet."""
    folder.mkdir()
    held = {name: one.detach().cpu().contiguous() for name, one in moments.items()}
    save_file(held, folder / MOMENTS, metadata={"steps": str(taken)})


def load(folder: Path) -> tuple[dict[str, Tensor], float]:
    """Return the moments by parameter and kind, and the steps behind them.

    Raises:
        UserError: they are not there, or damaged.
    """
    try:
        with safe_open(folder / MOMENTS, "pt") as file:
            taken = float(file.metadata()["steps"])
            return {name: file.get_tensor(name) for name in file.keys()}, taken  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / MOMENTS} cannot be read ({error}): remove {folder.parent}, so that the "
            "training goes on from the checkpoint before, or anew"
        ) from None
