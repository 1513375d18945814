"""A module whose weights are in a file for a while computes the same as before."""

import nets
import numpy as np
import pytest
import torch
from torch import nn

from tritonforge import export

X = torch.linspace(-1, 1, 16).reshape(2, 8)


class Odd(nn.Module):
    """Tied weights, a view of one, buffers of other types, an empty and a scalar one."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.one.weight
        self.view = nn.Parameter(self.one.weight.data.t()[1:3])
        self.register_buffer("counts", torch.arange(8), persistent=False)
        self.register_buffer("none", torch.empty(0))
        self.register_buffer("share", torch.tensor(0.5, dtype=torch.float16))
        self.register_buffer("flags", torch.tensor([True, False] * 4))

    def forward(self, x):
        x = self.tied(self.one(x)) * self.flags + self.counts
        return x @ self.view.t() * self.share.float() + self.none.numel()


def odd():
    torch.manual_seed(0)
    return Odd().eval()


def plain(module):
    with torch.no_grad():
        return module(X).numpy()


@pytest.mark.parametrize(
    "module",
    [odd, lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)).eval()],
    ids=["odd", "norm"],
)
def test_it_leaves_and_comes_back_as_it_was(tmp_path, module):
    module = module()
    before, held = plain(module), sum(each.numel() for each in module.state_dict().values())
    with export.put_aside(module, tmp_path / "w") as aside:
        for _ in range(2):
            aside.leave()
            aside.leave()
            assert held
            assert sum(each.numel() for each in module.parameters()) == 0
            aside.back()
            aside.back()
            np.testing.assert_array_equal(plain(module), before)
    assert not (tmp_path / "w").exists()
    np.testing.assert_array_equal(plain(module), before)


def test_what_is_shared_is_kept_once_and_shared_again(tmp_path):
    module = odd()
    with export.put_aside(module, tmp_path / "w") as aside:
        assert (tmp_path / "w").stat().st_size == (64 + 8 + 8) * 4 + 8 * 8 + 2 + 8
        aside.leave()
        aside.back()
    assert module.tied.weight is module.one.weight
    assert (
        module.view.untyped_storage().data_ptr() == module.one.weight.untyped_storage().data_ptr()
    )


@pytest.mark.parametrize("factory", [nets.scripted, nets.lstm, nets.mixer])
def test_scripted_and_recurrent_ones_do_too(tmp_path, factory):
    made = factory()
    module = (made[0] if isinstance(made, tuple) else made).eval()
    inputs = made[1] if isinstance(made, tuple) else torch.ones(2, 3, 4)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.no_grad():
        before = module(*inputs)
        with export.put_aside(module, tmp_path / "w") as aside:
            aside.leave()
            assert not any(each.numel() for each in module.parameters())
            aside.back()
        after = module(*inputs)
    for one, other in zip(
        *([x] if torch.is_tensor(x) else x for x in (before, after)), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_in_double_precision_it_can_leave_for_good(tmp_path):
    module = odd()
    with export.put_aside(module, tmp_path / "w") as aside:
        aside.leave()
        aside.back()
        run = export.exact(module, ["x"], ["y"], copied=False)
        assert run({"x": X.numpy()})["y"].dtype == np.float64
        aside.leave()
        assert sum(each.numel() for each in module.parameters()) == 0
