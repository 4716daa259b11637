"""PatchGAN has its published size and view, and learns to tell noise from photos."""

import pytest
import torch

from pipeline.losses.adversarial import fake, real
from pipeline.systems import count_parameters
from pipeline.systems.critics import PatchCritic


def test_the_critic_is_the_papers():
    """pix2pix's discriminator for six channels has 2,768,705 parameters, its convolutions before
    a BatchNorm without bias."""
    assert count_parameters(PatchCritic(6)) == 2_768_705
    strides = [m.stride[0] for m in PatchCritic(3).modules() if isinstance(m, torch.nn.Conv2d)]
    assert strides == [2, 2, 2, 1, 1]


@pytest.mark.parametrize(("num_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_each_logit_sees_its_patch(num_layers, field):
    torch.manual_seed(0)
    critic = PatchCritic(1, width=4, num_layers=num_layers).eval()
    x = torch.rand(1, 1, 320, 320, requires_grad=True)
    logits = critic(x)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    rows = x.grad[0, 0].any(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == field


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (7, 33), (24, 24), (65, 97), (256, 256)])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_any_size_gets_logits_and_gradients(size, num_layers):
    critic = PatchCritic(3, width=4, num_layers=num_layers)
    x = torch.rand(2, 3, *size, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        logits = critic(x)
    assert logits.dtype == torch.float32 and logits.shape[:2] == (2, 1) and logits.numel() >= 2
    logits.sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()


def test_256_pixels_give_30_logits():
    assert PatchCritic(3, width=4)(torch.rand(2, 3, 256, 256)).shape == (2, 1, 30, 30)


def test_weights_start_as_published():
    torch.manual_seed(0)
    critic = PatchCritic(3)
    for module in critic.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert abs(module.weight.mean()) < 1e-3
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert module.bias is None or not module.bias.any()
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_it_learns_to_tell_a_photo_from_noise(kind, astronaut):
    torch.manual_seed(0)
    critic = PatchCritic(3, width=8)
    photo = torch.from_numpy(astronaut).permute(2, 0, 1).float() / 255
    true = torch.stack([photo[:, top : top + 48, top : top + 48] for top in (0, 128, 256, 384)])
    made = (true + 0.2 * torch.randn_like(true)).clamp(0, 1)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    for _ in range(20):
        loss = real(critic(true), kind) + fake(critic(made), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert critic(true).mean() > critic(made).mean() + 0.5
