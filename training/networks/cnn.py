"""A small convolutional network with batch norm, in the manner of VGG: two 3x3 convolutions, then halve.

python -m training.train cnn
"""

from torch import nn

from training.data.nondigits import cross_entropy
from training.loop.recipe import Recipe

RECIPE = Recipe(epochs=24, batch_size=256, lr=4e-3)
IN_8_BITS = True  # several times as fast
WIDTHS = (32, 64, 128)  # channels of the three stages, 28, 14 and 7 pixels a side
HIDDEN = 160


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 1
        for width in WIDTHS:
            layers += [*_convolution(channels, width), *_convolution(width, width), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(channels * 3 * 3, HIDDEN, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN, 10),
        )

    def forward(self, images):
        return self.head(self.features(images))

    def loss(self, images, labels, degrade):
        return cross_entropy(self(degrade(images)), labels)


def _convolution(channels, width):
    return (
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
