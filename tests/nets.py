"""Small networks of different kinds; each factory is a source that a user might hand in."""

import warnings

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


def mlp() -> tuple[nn.Module, Tensor]:
    return Mlp(), torch.randn(1, 8)


def bare_mlp() -> nn.Module:
    """Says nothing of its inputs."""
    return Mlp()


class Branches(nn.Module):
    """Scripted: an If by the data and a Loop by the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x) if bool(x.sum() > 0) else self.other(x) - 1.0
        total = torch.zeros_like(y)
        for _ in range(x.size(1)):
            total = total + y
        return total


def scripted() -> tuple[nn.Module, Tensor]:
    with warnings.catch_warnings():
        # torch would have everybody move to torch.export, which keeps no `if`; people still script.
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(Branches().eval()), torch.randn(2, 4)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


def lstm() -> nn.Module:
    return Recurrent()


class TwoByTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 6)

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        weights = mask.unsqueeze(-1).to(torch.float32)
        hidden = self.embed(ids) * weights
        return {"pooled": hidden.sum(1) / weights.sum(1).clamp(min=1), "hidden": hidden}


def two_by_two() -> nn.Module:
    return TwoByTwo()


class Mixer(nn.Module):
    """Rows of a batch depend on each other."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0, keepdim=True)


def mixer() -> tuple[nn.Module, Tensor]:
    return Mixer(), torch.randn(3, 5)


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x * 2
        return x - 1


def deciding() -> tuple[nn.Module, Tensor]:
    return Deciding(), torch.randn(2, 4)


class Exotic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.eigvals(x).abs()


def exotic() -> tuple[nn.Module, Tensor]:
    return Exotic(), torch.randn(2, 4, 4)


class Frozen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(int(x.shape[0]), 2, 8) * torch.ones(2, 2, 8)


def frozen() -> nn.Module:
    return Frozen()


class Score(nn.Module):
    """One value a sample, and no dimension beside the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.linear(x)).squeeze(1)


def score() -> tuple[nn.Module, Tensor]:
    return Score(), torch.randn(1, 3)


class NotANumber(nn.Module):
    """Gives other values every time it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        return x * float("nan") if self.training else x + self.calls_so_far()

    def calls_so_far(self) -> float:
        self.calls += 1
        return float(self.calls)


def restless() -> tuple[nn.Module, Tensor]:
    return NotANumber(), torch.randn(1, 3)


def broken() -> nn.Module:
    message = "no such thing"
    raise RuntimeError(message)


def text() -> str:
    return "not a module"


class Unequal(nn.Module):
    """Minds whether two of its sizes are equal."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.shape[2] != x.shape[3] else x + 1


def unequal() -> nn.Module:
    return Unequal()


class Largest(nn.Module):
    """Rows depend on each other, but seldom in two rows."""

    def forward(self, x: Tensor, k: Tensor) -> Tensor:
        return x * k.max().to(torch.float32)


def largest() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    return Largest(), (torch.randn(1, 3), torch.ones(1, dtype=torch.int64))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.embed(ids).sum(1)


def words() -> tuple[nn.Module, Tensor]:
    """Gives an example that says little of its vocabulary."""
    return Words(), torch.zeros(1, 8, dtype=torch.int64)


class Hopeless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(-x.abs() - 1)


def hopeless() -> tuple[nn.Module, Tensor]:
    return Hopeless(), torch.randn(1, 3)


class Pyramid(nn.Module):
    """Takes multiples of four only."""

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.max_pool2d(x, 4)
        return x + nn.functional.interpolate(small, scale_factor=4.0)


def pyramid() -> nn.Module:
    return Pyramid()


def chatty() -> tuple[nn.Module, Tensor]:
    print("loading my model")  # noqa: T201 - as users do
    return mlp()


class Headed(nn.Module):
    """A recurrent body with a head: exporters freeze shapes inside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0])


def headed() -> nn.Module:
    return Headed()


class Bytes(nn.Module):
    """Multiplies in a dtype for which ONNX Runtime 1.19 has no kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def bytes8() -> nn.Module:
    return Bytes()
