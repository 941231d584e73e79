"""Faster R-CNN (Ren et al., https://arxiv.org/abs/1506.01497) at the scale of handwritten digits.

The backbone is small, with batch norm and a stride of 4, so that a digit of 12 pixels still covers 3 cells. The region
proposal network, RoI align, the two-layer box head and the four losses are torchvision's. The network trains on
canvases composed from its batch, and on the plain images. Inference is our own code over the same trained parts,
because torchvision's cannot be exported for batches of any size. In our code, no shape depends on an image's content.

    quintet train faster_rcnn
"""

import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign, roi_align

from training.data.pages import Targets, compose, ink_boxes
from training.digits import Digits
from training.layers import convolution
from training.recipe import NONE, DigitRecipe

TASK = Digits
# `several` is None: for a detector, two digits side by side are two digits, not background.
RECIPE = DigitRecipe(epochs=12, batch_size=256, lr=2e-3, clip=5.0, several=None)
STRIDE = 4  # pixels of the input per cell of the features
WIDTH = 96  # channels of the features
SIZES, RATIOS = (12.0, 20.0, 32.0, 52.0), (1.0, 2.0)  # anchors: square root of the area in pixels, height / width
RESOLUTION = 7  # cells a side of a pooled region
CANVASES = ((64, 2), (96, 4), (128, 8))  # (pixels a side, maximum number of digits); each step draws one kind
PLAIN = 1 / 4  # share of the batch that is not placed on canvases
REGIONS = 32  # maximum number of proposals of each anchor size, of proposals for the box head, and of boxes returned
PER_REGION = 98  # pixels of the image per region: an image of 28x28 has 8 regions, one of 64x49 has 32
AGAIN = 2  # the box head looks a second time at the best 1 / AGAIN of the regions
BEHIND = 100.0  # logits; larger than any difference in objectness, so that it moves a box behind all others
SAME_REGION, SAME_DIGIT = 0.7, 0.5  # intersection over union above which the less certain of two boxes is dropped


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            *convolution(1, 32),
            *convolution(32, 32),
            *convolution(32, 64, stride=2),
            *convolution(64, 64),
            *convolution(64, 64),
            *convolution(64, WIDTH, stride=2),
            *convolution(WIDTH, WIDTH),
            *convolution(WIDTH, WIDTH),
        )
        self.rpn = RegionProposalNetwork(
            AnchorGenerator((SIZES,), (RATIOS,)),
            RPNHead(WIDTH, len(SIZES) * len(RATIOS)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=64,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 256, "testing": REGIONS * len(SIZES)},
            post_nms_top_n={"training": 64, "testing": REGIONS},
            nms_thresh=SAME_REGION,
        )
        self.roi_heads = RoIHeads(
            MultiScaleRoIAlign(["features"], RESOLUTION, sampling_ratio=1),
            TwoMLPHead(WIDTH * RESOLUTION**2, 256),
            FastRCNNPredictor(256, 1 + 10),  # class 0 is the background
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=16,
            positive_fraction=0.5,
            bbox_reg_weights=None,
            score_thresh=0.05,
            nms_thresh=SAME_DIGIT,
            detections_per_img=REGIONS,
        )

    @staticmethod
    def compose(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[torch.Tensor, Targets]]:
        """Canvases with several images of the batch on each, and the rest of the images alone."""
        order = torch.randperm(len(images), device=images.device)  # because a batch is sorted by source
        images, labels = images[order], labels[order]
        plain = int(PLAIN * len(images))
        kinds = [kind for kind in CANVASES if kind[1] <= len(images) - plain]
        size, per_canvas = kinds[int(torch.randint(len(kinds), ()))]
        rest = plain + (len(images) - plain) // per_canvas * per_canvas
        boxes, named = ink_boxes(images[:plain])[:, None], labels[:plain, None] != NONE
        alone = [{"boxes": boxes[i][named[i]], "labels": labels[i : i + 1][named[i]]} for i in range(plain)]
        return [compose(images[plain:rest], labels[plain:rest], size, per_canvas), (images[:plain], alone)]

    def loss(self, images: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Sum of torchvision's four losses for images (N, 1, H, W) and a list of {"boxes", "labels"}, labels 0 to 9."""
        targets = [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets]
        features = {"features": self.backbone(images.contiguous(memory_format=torch.channels_last)).float()}
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        with torch.autocast(images.device.type, enabled=False):  # bf16 is too coarse for the proposals' coordinates
            proposals, rpn_losses = self.rpn(ImageList(images, sizes), features, targets)
        _, roi_losses = self.roi_heads(features, proposals, sizes, targets)
        return torch.stack([*rpn_losses.values(), *roi_losses.values()]).sum()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        _, logits, _, _ = self._regions(images)
        return _of_ten(logits[:, 0])

    def detect(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        boxes, logits, proposals, objectness = self._regions(images)
        # A region that overlaps a better one shows the same digit: it stays in the answer, with scores of 0.
        scores = logits.softmax(2)[:, :, 1:] * ~_covered(boxes, SAME_DIGIT)[:, :, None]
        return boxes, scores, _of_ten(logits[:, 0]), proposals, objectness

    def _regions(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes (N, K, 4) and logits (N, K, 11) of the regions, most certain first, in images of at least 16x16.

        Also the proposals (N, K, 4) that they began as, and how likely each of these is an object, (N, K).
        """
        height, width = images.shape[2:]
        count = torch.sym_min(REGIONS, height * width // PER_REGION)  # symbolic: it follows the image's size
        features = self.backbone(images)
        proposals, objectness = self._proposals(features, height, width, count)
        boxes, logits = self._look(features, proposals, height, width)
        # The box head looks at the best regions again, in their new positions (Gidaris & Komodakis, arXiv 1505.01749).
        again = count // AGAIN
        moved, said = self._look(features, boxes[:, :again], height, width)
        regions = _surest(torch.cat([moved, boxes[:, again:]], 1), torch.cat([said, logits[:, again:]], 1))
        return *regions, proposals, objectness

    def _look(
        self, features: torch.Tensor, boxes: torch.Tensor, height: int, width: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the box head on boxes (N, K, 4). Returns the boxes moved to their digits, and logits (N, K, 11)."""
        n, count, _ = boxes.shape
        image = torch.arange(n, device=boxes.device).view(n, 1, 1).expand(n, count, 1).to(boxes.dtype)
        regions = torch.cat([image, boxes], 2).flatten(0, 1)  # (N * K, 5)
        pooled = roi_align(features, regions, RESOLUTION, 1 / STRIDE, self.roi_heads.box_roi_pool.sampling_ratio)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        best = logits[:, 1:].argmax(1, keepdim=True) + 1  # (N * K, 1), the class whose box is used
        deltas = deltas.view(n * count, 11, 4).gather(1, best[:, :, None].expand(-1, 1, 4))[:, 0]
        moved = self.roi_heads.box_coder.decode_single(deltas, regions[:, 1:]).view(n, count, 4)
        return _surest(_clip(moved, height, width), logits.view(n, count, 11))

    def _proposals(
        self, features: torch.Tensor, height: int, width: int, count: torch.types.IntLikeType
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The `count` best boxes (N, K, 4) of the region proposal network, after suppression of overlapping ones.

        Also their objectness (N, K), 0 to 1.
        """
        n, _, rows, columns = features.shape
        objectness, deltas = self.rpn.head([features])
        # The channels are all sizes of the first ratio, then all of the second. The best are chosen for each size:
        # a large digit fits many large anchors, which would otherwise leave no room for a small digit.
        objectness = objectness[0].view(n, len(RATIOS), len(SIZES), -1).permute(0, 2, 3, 1).flatten(2)
        objectness, order = objectness.topk(count, 2)  # (N, sizes, count)
        order = order.flatten(0, 1)
        deltas = deltas[0].view(n, len(RATIOS), len(SIZES), 4, -1).permute(0, 2, 4, 1, 3)
        deltas = _take(deltas.reshape(n * len(SIZES), -1, 4), order)
        # Anchors are STRIDE pixels apart. torchvision derives the step from the image's size and gets 3 for some.
        y = torch.arange(rows, device=features.device) * STRIDE
        x = torch.arange(columns, device=features.device) * STRIDE
        x, y = x.view(1, -1).expand(rows, columns), y.view(-1, 1).expand(rows, columns)
        cells = torch.stack([x, y, x, y], 2).view(-1, 1, 4)
        anchors = cells + self.rpn.anchor_generator.cell_anchors[0].to(features.device)
        anchors = anchors.view(-1, len(RATIOS), len(SIZES), 4).permute(2, 0, 1, 3).reshape(1, len(SIZES), -1, 4)
        anchors = _take(anchors.expand(n, -1, -1, -1).flatten(0, 1), order)
        boxes = self.rpn.box_coder.decode_single(deltas.flatten(0, 1), anchors.flatten(0, 1))
        objectness, order = objectness.flatten(1).topk(count * len(SIZES), 1)
        boxes = _take(_clip(boxes.view(n, -1, 4), height, width), order)
        # Covered boxes move to the end but keep their order: runtimes order equal values differently.
        objectness = objectness - BEHIND * _covered(boxes, SAME_REGION)
        objectness, order = objectness.topk(count, 1)
        return _take(boxes, order), objectness.sigmoid()


def _of_ten(logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N, 10) from logits (N, 11). Divides the background's probability among the ten digits."""
    probabilities = logits.softmax(1)
    return (probabilities[:, 1:] + probabilities[:, :1] / 10).clamp(min=1e-12).log()


def _surest(boxes: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (N, K, 4) and logits (N, K, 11), sorted by the probability of their best digit."""
    _, order = logits.softmax(2)[:, :, 1:].amax(2).topk(boxes.shape[1], 1)
    return _take(boxes, order), _take(logits, order)


def _take(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """For each n, the rows order[n] of values[n]: order (N, K), values (N, M, C), result (N, K, C)."""
    return values.gather(1, order[:, :, None].expand(-1, -1, values.shape[2]))


def _clip(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    sides = width, height, width, height
    return torch.stack([boxes[..., i].clamp(0, side) for i, side in enumerate(sides)], -1)


def _covered(boxes: torch.Tensor, limit: float) -> torch.Tensor:
    """Whether each of boxes (N, K, 4), best first, overlaps a better one by more than `limit`: (N, K) bool.

    Unlike non-maximum suppression this needs no loop, because a box that is itself covered still covers others.
    """
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(3)  # (N, K, K)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(2)
    union = area[:, :, None] + area[:, None, :] - shared
    better = torch.ones_like(shared, dtype=torch.bool).triu(1)  # [i, j]: i comes before j
    return ((shared > limit * union) & better).any(1)
