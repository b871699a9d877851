"""The networks, each one class that reads from top to bottom and one frozen configuration.

All take float32 ``(n, 1, 28, 28)`` with ink in 0 to 1 and give logits ``(n, classes)``. To add one, see
docs/learning.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn


class Network(nn.Module):  # type: ignore[misc]
    """What every architecture is: ``stages`` in order, each with the name that the drawing shows.

    ``augmented`` tells whether its training varies the glyphs. The four networks of the original are trained plainly.
    """

    augmented = False
    stages: nn.Sequential

    def forward(self, glyphs: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for ``glyphs`` ``(n, 1, 28, 28)``."""
        logits: Tensor = self.stages(glyphs)
        return logits


@dataclass(frozen=True)
class NnConfig:
    """One wide dense layer."""

    hidden: int = 10_000
    dropout: float = 0.5


class Nn(Network):
    """The original's plain network: 8.3 M parameters in one hidden layer."""

    def __init__(self, classes: int, config: NnConfig = NnConfig()) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Flatten(),  # (n, 784)
            _dense(784, config.hidden, config.dropout),  # (n, 10000)
            nn.Linear(config.hidden, classes),
        )


@dataclass(frozen=True)
class DnnConfig:
    """Three dense layers, each narrower than the one before."""

    hidden: tuple[int, int, int] = (4096, 1024, 512)
    dropout: float = 0.1


class Dnn(Network):
    """The original's deep dense network: 8.0 M parameters."""

    def __init__(self, classes: int, config: DnnConfig = DnnConfig()) -> None:
        super().__init__()
        first, second, third = config.hidden
        self.stages = nn.Sequential(
            nn.Flatten(),  # (n, 784)
            _dense(784, first, config.dropout),  # (n, 4096)
            _dense(first, second, config.dropout),  # (n, 1024)
            _dense(second, third, config.dropout),  # (n, 512)
            nn.Linear(third, classes),
        )


@dataclass(frozen=True)
class Cnn1Config:
    """Two convolutions, one pooling, a wide dense layer."""

    channels: tuple[int, int] = (32, 64)
    hidden: int = 1024
    dropout: tuple[float, float] = (0.5, 0.25)


class Cnn1(Network):
    """The original's first convolutional network: 9.5 M parameters, nearly all in the dense layer."""

    def __init__(self, classes: int, config: Cnn1Config = Cnn1Config()) -> None:
        super().__init__()
        first, second = config.channels
        self.stages = nn.Sequential(
            _unpadded(1, first),  # (n, 32, 26, 26)
            _unpadded(first, second),  # (n, 64, 24, 24)
            nn.MaxPool2d(2),  # (n, 64, 12, 12)
            nn.Dropout(config.dropout[0]),
            nn.Flatten(),  # (n, 9216)
            _dense(second * 12 * 12, config.hidden, config.dropout[1]),  # (n, 1024)
            nn.Linear(config.hidden, classes),
        )


@dataclass(frozen=True)
class Cnn2Config:
    """Two convolutions, one pooling, a dense layer."""

    channels: tuple[int, int] = (32, 32)
    hidden: int = 512
    dropout: tuple[float, float] = (0.25, 0.5)


class Cnn2(Network):
    """The original's second convolutional network: 2.4 M parameters."""

    def __init__(self, classes: int, config: Cnn2Config = Cnn2Config()) -> None:
        super().__init__()
        first, second = config.channels
        self.stages = nn.Sequential(
            _unpadded(1, first),  # (n, 32, 26, 26)
            _unpadded(first, second),  # (n, 32, 24, 24)
            nn.MaxPool2d(2),  # (n, 32, 12, 12)
            nn.Dropout(config.dropout[0]),
            nn.Flatten(),  # (n, 4608)
            _dense(second * 12 * 12, config.hidden, config.dropout[1]),  # (n, 512)
            nn.Linear(config.hidden, classes),
        )


@dataclass(frozen=True)
class CompactConfig:
    """Channels of the five convolutions."""

    channels: tuple[int, int, int, int, int] = (32, 48, 64, 128, 128)
    dropout: float = 0.3


class Compact(Network):
    """Our default: 0.3 M parameters, normalised convolutions that halve the picture early and so stay cheap."""

    augmented = True

    def __init__(self, classes: int, config: CompactConfig = CompactConfig()) -> None:
        super().__init__()
        stem, second, third, fourth, fifth = config.channels
        self.stages = nn.Sequential(
            _normalised(1, stem, kernel=5, stride=2),  # (n, 32, 14, 14)
            _normalised(stem, second),  # (n, 48, 14, 14)
            _normalised(second, third, stride=2),  # (n, 64, 7, 7)
            _normalised(third, fourth),  # (n, 128, 7, 7)
            nn.MaxPool2d(2),  # (n, 128, 3, 3)
            _normalised(fourth, fifth),  # (n, 128, 3, 3)
            nn.Flatten(),  # (n, 1152)
            nn.Dropout(config.dropout),
            nn.Linear(fifth * 3 * 3, classes),
        )


@dataclass(frozen=True)
class SlimConfig:
    """Channels of the three convolutions."""

    channels: tuple[int, int, int] = (24, 48, 96)
    dropout: float = 0.3


class Slim(Network):
    """A cheap companion of ``compact``: it sees less, errs elsewhere, and trains in half the time."""

    augmented = True

    def __init__(self, classes: int, config: SlimConfig = SlimConfig()) -> None:
        super().__init__()
        stem, second, third = config.channels
        self.stages = nn.Sequential(
            _normalised(1, stem, kernel=5, stride=2),  # (n, 24, 14, 14)
            _normalised(stem, second, stride=2),  # (n, 48, 7, 7)
            _normalised(second, third),  # (n, 96, 7, 7)
            nn.Flatten(),  # (n, 4704)
            nn.Dropout(config.dropout),
            nn.Linear(third * 7 * 7, classes),
        )


@dataclass(frozen=True)
class ResidualConfig:
    """Channels at 14 × 14, 7 × 7 and 4 × 4, and how many residual blocks stand at each."""

    channels: tuple[int, int, int] = (32, 64, 128)
    blocks: tuple[int, int, int] = (1, 1, 1)
    dropout: float = 0.0


class Residual(Network):
    """Residual blocks at three scales, each with as much to calculate (He et al. 2015, arXiv 1512.03385)."""

    augmented = True

    def __init__(self, classes: int, config: ResidualConfig = ResidualConfig()) -> None:
        super().__init__()
        first, second, third = config.channels
        self.stages = nn.Sequential(
            _normalised(1, first, kernel=5, stride=2),  # (n, first, 14, 14)
            *(Shortcut(first) for _ in range(config.blocks[0])),
            _normalised(first, second, stride=2),  # (n, second, 7, 7)
            *(Shortcut(second) for _ in range(config.blocks[1])),
            _normalised(second, third, stride=2),  # (n, third, 4, 4)
            *(Shortcut(third) for _ in range(config.blocks[2])),
            nn.Flatten(),  # (n, third * 16)
            nn.Dropout(config.dropout),
            nn.Linear(third * 16, classes),
        )


class Shortcut(nn.Module):  # type: ignore[misc]
    """Two normalised convolutions, whose outcome is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _normalised(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return nn.functional.relu(features + self.norm(self.second(self.first(features))))


SMALL = ResidualConfig((20, 40, 80))
LARGE = ResidualConfig((48, 96, 192))


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout))


def _unpadded(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True))


def _normalised(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


ARCHITECTURES: dict[str, Callable[[int], Network]] = {
    "nn": Nn,
    "dnn": Dnn,
    "cnn1": Cnn1,
    "cnn2": Cnn2,
    "compact": Compact,
    "slim": Slim,
    "residual-small": partial(Residual, config=SMALL),
    "residual": Residual,
    "residual-large": partial(Residual, config=LARGE),
}
"""Each makes a network for so many classes."""


def parameter_count(network: Network) -> int:
    """Return how many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())
