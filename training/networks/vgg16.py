"""VGG16, configuration D of Simonyan & Zisserman (https://arxiv.org/abs/1409.1556), torchvision's with batch norm.

It differs from the paper in three ways: batch norm after each convolution, 32x32 input, and one hidden layer of 256
with batch norm instead of two of 4096 with dropout.

    quintet train vgg16
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from training.digits import Digits
from training.layers import head
from training.recipe import DigitRecipe, features_from

TASK = Digits
RECIPE = DigitRecipe(epochs=8, batch_size=256, lr=1.5e-3)
IN_8_BITS = True  # several times faster on a CPU
SIZE = 32  # pixels a side; five pooling layers reduce them to one


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = vgg16_bn().features
        self.head = head(512, 256)

    def load_weights(self, source: str) -> None:
        self.features.load_state_dict(features_from(source, "vgg16", VGG16_BN_Weights.DEFAULT))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        images = (images - 0.5) * 4  # about the range of images after ImageNet's normalisation
        return self.head(self.features(images.expand(-1, 3, -1, -1)))
