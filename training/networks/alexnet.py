"""AlexNet as torchvision has it ("One weird trick", https://arxiv.org/abs/1404.5997), fine-tuned from ImageNet.

Differs from torchvision's: 64x64 input and one hidden layer of 256 instead of two of 4096.

    python -m training.train alexnet --weights alexnet_features.pt
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import AlexNet_Weights, alexnet

from training.data.nondigits import cross_entropy
from training.loop.recipe import Recipe
from training.loop.weights import features_from

RECIPE = Recipe(epochs=16, batch_size=256, lr=6e-4, weights="imagenet")
IN_8_BITS = True  # several times as fast
SIZE = 64  # pixels a side: the last pooling leaves one cell
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the ImageNet weights, RGB


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = alexnet().features
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(256, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(256, 10),
        )
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def load_weights(self, source):
        self.features.load_state_dict(features_from(source, AlexNet_Weights.DEFAULT))

    def forward(self, images):
        images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        return self.head(self.features((images - self.mean) / self.std))

    def loss(self, images, labels, degrade):
        return cross_entropy(self(degrade(images)), labels)
