"""VGG16, configuration D of Simonyan & Zisserman (https://arxiv.org/abs/1409.1556), torchvision's with batch norm.

Differs from the paper: batch norm after each convolution, 32x32 input, one hidden layer of 256 instead of two of 4096.

    python -m training.train vgg16
"""

import torch.nn.functional as F
from torch import nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from training.data.nondigits import cross_entropy
from training.loop.recipe import Recipe
from training.loop.weights import features_from

RECIPE = Recipe(epochs=8, batch_size=256, lr=1.5e-3)
IN_8_BITS = True  # several times as fast
PAD = 2  # 28 + 2 * 2 = 32 pixels: five halvings leave one


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = vgg16_bn().features
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(512, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(256, 10),
        )

    def load_weights(self, source):
        self.features.load_state_dict(features_from(source, VGG16_BN_Weights.DEFAULT))

    def forward(self, images):
        images = F.pad(images, (PAD, PAD, PAD, PAD))
        images = (images - 0.5) * 4  # about the range that ImageNet's normalisation gives
        return self.head(self.features(images.expand(-1, 3, -1, -1)))

    def loss(self, images, labels, degrade):
        return cross_entropy(self(degrade(images)), labels)
