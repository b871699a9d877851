"""Networks: what they are, how they learn, and the file and pictures that come of it. The one room that imports torch.

This file itself does not, so that a program without torch can still offer the choice.
"""

NAMES = {
    "compact": "Our default: five normalised convolutions, 0.3 M parameters.",
    "slim": "A cheap companion of compact: three normalised convolutions, 0.3 M parameters.",
    "residual-small": "Residual blocks, 0.2 M parameters: the most for a few minutes of a plain computer.",
    "residual": "Residual blocks, 0.6 M parameters.",
    "residual-large": "Residual blocks, 1.2 M parameters: for an hour, or a GPU.",
    "nn": "The original's plain network: one dense layer of 10,000.",
    "dnn": "The original's deep dense network: 4096, 1024 and 512.",
    "cnn1": "The original's first convolutional network: 32 and 64 channels, dense 1024.",
    "cnn2": "The original's second convolutional network: 32 and 32 channels, dense 512.",
}
"""Every architecture that can be trained, with a line about it."""
