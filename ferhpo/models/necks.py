"""Necks: what a feature map goes through before it is pooled, in our nets and in the libraries' alike.

Each maps B x C x S x S to the same shape, for any S, so that it stands wherever a map does.
"""

from math import gcd

import torch
from torch import nn
from torch.nn import functional

REDUCTION = 16  # of CBAM's channel attention, as in the paper
HEAD = 32  # channels of one attention head, where they divide


def build(name: str, channels: int) -> nn.Module:
    """Return the neck that the setting names; none is the identity.

    Args:
        name: none, cbam, self_attention or lstm.
        channels: of the feature map.
    """
    match name:
        case "none":
            return nn.Identity()
        case "cbam":
            return CBAM(channels)
        case "self_attention":
            return SelfAttention(channels)
        case "lstm":
            return RowLSTM(channels)
    raise AssertionError(name)  # TrialConfig has refused it


class CBAM(nn.Module):
    """Attention over channels, then over places.

    References:
        Woo et al. 2018, CBAM: Convolutional Block Attention Module, arXiv 1807.06521.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.place = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x C x S x S to the same shape."""
        gate = self.channel(x.mean((2, 3))) + self.channel(x.amax((2, 3)))
        x = x * torch.sigmoid(gate)[:, :, None, None]
        seen = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.place(seen))


class SelfAttention(nn.Module):
    """x + multi-head self-attention over the places of the map, which a depthwise convolution tells apart.

    References:
        Srinivas et al. 2021, Bottleneck Transformers for Visual Recognition, arXiv 2101.11605 (attention over the last
        feature map of a CNN); Chu et al. 2021, Conditional Positional Encodings, arXiv 2102.10882 (the convolution, in
        place of an embedding for one size).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = gcd(channels, max(1, channels // HEAD))
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x C x S x S to the same shape."""
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(seen).transpose(1, 2).unflatten(2, x.shape[2:])


def read(lstm: nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    """Return what an LSTM makes of sequences B x steps x features; on a GPU in float32.

    cuDNN's takes float16 under autocast to bf16 too; its gradients may vanish, since the loss is scaled for fp16 alone.
    """
    if not x.is_cuda:
        return lstm(x)[0]
    with torch.autocast("cuda", enabled=False):
        return lstm(x.float())[0]


class RowLSTM(nn.Module):
    """A bidirectional LSTM over the rows of the map, each the mean of its columns: from brow to chin and back.

    References:
        Hochreiter and Schmidhuber 1997, Long Short-Term Memory; Donahue et al. 2014, Long-term Recurrent Convolutional
        Networks, arXiv 1411.4389. Changed here: the steps are the rows of one still, not the frames of a video.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels // 2, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x C x S x S, C even, to the same shape, each row's output repeated over its columns."""
        rows = read(self.lstm, x.mean(3).transpose(1, 2))
        return rows.transpose(1, 2)[..., None].expand(-1, -1, -1, x.shape[3])
