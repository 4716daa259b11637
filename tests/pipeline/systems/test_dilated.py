"""The inpainter: the published layers, any size, and how far it sees."""

import pytest
import torch
import torch.nn.functional as F

from pipeline.systems import count_parameters
from pipeline.systems.dilated import AotBlock, Inpainter, pad_around
from tests.pipeline.test_systems import noise

GATE_BIASES = 8 * 256  # of the authors' network: the norm behind them takes them away


def test_the_published_size():
    published = 15_200_835  # their InpaintGenerator: RGB and mask, 8 blocks of 256, rates 1-2-4-8
    assert count_parameters(Inpainter(3, 64, 8, (1, 2, 4, 8))) == published - GATE_BIASES


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (7, 33), (65, 31)])
@pytest.mark.parametrize("channels", [1, 3])
@torch.no_grad()
def test_any_size_comes_back_within_zero_and_one(channels, size):
    net = Inpainter(channels, 4, 2, (1, 2, 4, 8))
    made = net(noise(2, channels + 1, *size))
    assert made.shape == (2, channels, *size) and made.dtype == torch.float32
    assert float(made.min()) >= 0 and float(made.max()) <= 1


@torch.no_grad()
def test_black_and_white_can_both_be_painted():
    """A tanh would paint down to -1, where no target is."""
    net = Inpainter(1, 4, 1, (1, 2))
    for bias, level in ((-30.0, 0.0), (30.0, 1.0)):
        net.head.bias.fill_(bias)
        torch.testing.assert_close(net(noise(1, 2, 16, 16)), torch.full((1, 1, 16, 16), level))


def test_eight_blocks_see_across_a_photo():
    net = Inpainter(1, 4, 8, (1, 2, 4, 8)).double()
    x = noise(1, 2, 512, 512).double().requires_grad_()
    net(x)[0, 0, 256, 256].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    # The gates' norm takes a little from everywhere: count what is more than that.
    assert rows.min() < 10 and rows.max() > 500


def test_a_block_is_its_formula():
    block, x = AotBlock(8, (1, 2)), noise(2, 8, 12, 10)
    seen = [
        F.relu(F.conv2d(F.pad(x, (r,) * 4, mode="reflect"), b.weight, b.bias, dilation=r))
        for r, b in zip((1, 2), block.branches, strict=True)
    ]
    joined = F.conv2d(
        F.pad(torch.cat(seen, 1), (1,) * 4, mode="reflect"), block.join.weight, block.join.bias
    )
    gate = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), block.gate.weight)
    deviation, mean = torch.std_mean(gate, (2, 3), correction=0, keepdim=True)
    gate = torch.sigmoid(5 * (2 * (gate - mean) / deviation - 1))
    torch.testing.assert_close(block(x), x * (1 - gate) + joined * gate, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [(3, 9), (9, 3), (3, 3), (1, 1), (9, 9)])
def test_padding_reflects_where_it_can(size):
    x = noise(1, 2, *size)
    padded = pad_around(x, 4)
    assert padded.shape == (1, 2, size[0] + 8, size[1] + 8)
    assert torch.equal(padded[..., 4:-4, 4:-4], x)
    rows = padded[..., 4 : 4 + size[0], :]
    edge = x[..., 1:5].flip(-1) if size[1] > 4 else x[..., :1].expand(-1, -1, -1, 4)
    assert torch.equal(rows[..., :4], edge)
    with torch.autocast("cpu", torch.bfloat16):
        assert pad_around(x.bfloat16(), 4).dtype == torch.bfloat16
