"""Layers that encoder and denoiser share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

MASKED = -1e4
FEW = 16
"""Keys up to which plain products are faster on a GPU than fused attention, whose blocks hold 64."""


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (N, heads, Q, dh) over (N, heads, K, dh); `mask` is added to the scores.

    Fused in torch; written out where a graph is exported, so that the graph stays plain, for few keys on a GPU, and in
    half precision on a CPU, where the fused gradient takes seven times as long.
    """
    few = q.is_cuda and k.shape[-2] <= FEW
    rounded = q.device.type == "cpu" and q.dtype != torch.float32
    plain = torch.onnx.is_in_onnx_export() or few or rounded
    if not plain:
        return F.scaled_dot_product_attention(q, k, v, mask)
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
    return torch.softmax(scores if mask is None else scores + mask, dim=-1) @ v


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention. Queries (N, Q, D), keys and values (N, K, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, heads, T, D / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def join(self, x: Tensor) -> Tensor:
        """(N, heads, T, D / heads) to (N, T, D), projected."""
        joined: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return joined

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of x (N, Q, D) over memory (N, K, D)."""
        q, k, v = self.split(self.q(x)), self.split(self.k(memory)), self.split(self.v(memory))
        return self.join(attend(q, k, v, mask))

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (N, heads, T, D / heads) of x (N, T, D) in one product."""
        parts = (self.q, self.k, self.v)
        weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
        q, k, v = F.linear(x, weight, bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def within(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of x (N, T, D) over itself."""
        return self.join(attend(*self.projected(x), mask))


def feed_forward(width: int, factor: int = 2) -> nn.Sequential:
    """Two-layer perceptron."""
    return nn.Sequential(
        nn.Linear(width, factor * width), nn.GELU(approximate="tanh"), nn.Linear(factor * width, width)
    )
