"""Factories that end in different ways, for builds side by side."""

import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn


def small():
    return nn.Linear(4, 2), (torch.randn(2, 4),)


def other():
    return nn.Linear(4, 3), (torch.randn(2, 4),)


def chatty():
    print("said by the factory")  # noqa: T201 - as a user's code does
    return small()


def raises():
    raise ValueError("no weights today. Come back tomorrow")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def orphans():
    """Be killed, and leave a process that holds all that was open."""
    if os.fork() == 0:
        time.sleep(120)
        os._exit(0)
    killed()


def shuts():
    """Close what the answer is sent by."""
    os.closerange(3, 65536)
    return small()


def leaves():
    os._exit(7)


def threads():
    """Tell how many threads torch takes."""
    Path("threads").write_text(str(torch.get_num_threads()))
    return small()


class Slow:
    """What is asked of a process: to take its time, and to put things in order however it ends."""

    @property
    def spec(self):
        Path("begun").touch()
        try:
            time.sleep(60)
        finally:
            time.sleep(0.5)
            Path("in order").touch()


class Noise(nn.Module):
    """Compute something else when it is exported."""

    def forward(self, x):
        return x + (1.0 if torch.onnx.is_in_onnx_export() else 0.0)


def differs():
    return Noise(), (torch.randn(2, 4),)


class Deciding(nn.Module):
    """Fail in the exporter, whose errors are of torch."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def decides():
    return Deciding(), (torch.randn(2, 4),)


class Stuck(nn.Module):
    """Tell its process, and go no further: its stage is open then."""

    def forward(self, x):
        _tell("stuck")
        time.sleep(120)
        return x


def stuck():
    return Stuck(), (torch.randn(2, 4),)


class Deaf(Stuck):
    """Do not listen either."""

    def forward(self, x):
        _tell("deaf")
        while True:
            try:
                time.sleep(120)
            except KeyboardInterrupt:
                sys.stderr.write(f"deaf to {x.shape}\n")


def deaf():
    return Deaf(), (torch.randn(2, 4),)


class Dies(nn.Module):
    """Be killed while a stage is open."""

    def forward(self, x):
        os.kill(os.getpid(), signal.SIGKILL)
        return x


def dies():
    return Dies(), (torch.randn(2, 4),)


def _tell(name):
    Path(f"{name}.pid").write_text(str(os.getpid()))
