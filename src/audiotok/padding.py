"""The mask of the positions in a padded batch that are not padding."""

import torch
from torch import Tensor


def is_position(lengths: Tensor, n_positions: int) -> Tensor:
    """Mark the positions that are not padding: lengths (B,) to bool (B, n_positions)."""
    return torch.arange(n_positions, device=lengths.device) < lengths[:, None]
