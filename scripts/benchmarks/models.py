"""Models that the benchmarks build."""

MLP = """
import torch
from torch import nn
def mlp():
    torch.manual_seed(0)
    layers = nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    return nn.Sequential(*layers), (torch.randn(2, 128),)
"""
BIG = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(5120, 5120) for _ in range(24))
    def forward(self, x):
        for layer in self.layers:
            x = x + 0.1 * torch.relu(layer(x))
        return x[:, :8]
def big():
    torch.manual_seed(0)
    return Net(), (torch.randn(2, 5120),)
"""
