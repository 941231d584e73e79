"""Measure a detector by COCO's average precision on pages composed of test digits with a fixed seed."""

import contextlib
import io
from typing import Any

import numpy as np
import torch
from onnxruntime import InferenceSession
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from training.data import mnist
from training.data.pages import compose

SIDE, DIGITS = 128, 8  # pixels a side of a page, maximum number of digits on it
BATCH = 16  # pages in one run of the detector
SEED = 0


def pages(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Place each digit on one page, except up to 7 digits at the end. images: (N, 1, 28, 28) uint8, labels: (N,).

    Returns pages (N / 8, 1, 128, 128) uint8 and a list of {"boxes", "labels"}, see `training.data.pages.compose`.
    """
    count = len(images) // DIGITS * DIGITS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        canvases, targets = compose(mnist.to_unit(images[:count]), labels[:count], SIDE, DIGITS)
    return (canvases * 255).round().to(torch.uint8), targets


def find(session: InferenceSession, canvases: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (P, K, 4) in pixels and scores (P, K, 10) for pages (P, 1, H, W) uint8."""
    parts = tqdm(canvases.split(BATCH), desc="pages")
    found = [session.run(["boxes", "scores"], {"images": part.numpy()}) for part in parts]
    boxes, scores = (np.concatenate([np.asarray(output) for output in outputs]) for outputs in zip(*found, strict=True))
    return boxes, scores


def precision(boxes: np.ndarray, scores: np.ndarray, targets: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """COCO's AP over overlaps of .5 to .95, AP50, AP75 and the average recall AR. Each box counts by its best class."""
    truth: Any = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": page} for page in range(len(targets))],
        "categories": [{"id": digit} for digit in range(10)],
        "annotations": [
            {"image_id": page, "category_id": int(label), "bbox": _corner_and_size(box), "iscrowd": 0}
            for page, target in enumerate(targets)
            for box, label in zip(target["boxes"].tolist(), target["labels"], strict=True)
        ],
    }
    annotations: list[dict[str, Any]] = truth.dataset["annotations"]
    for number, annotation in enumerate(annotations, 1):  # pycocotools ignores an annotation whose id is 0
        annotation |= {"id": number, "area": annotation["bbox"][2] * annotation["bbox"][3]}
    found = [
        {"image_id": page, "category_id": int(score.argmax()), "bbox": _corner_and_size(box), "score": score.max()}
        for page in range(len(boxes))
        for box, score in zip(boxes[page].tolist(), scores[page], strict=True)
        if score.max() > 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its figures
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = {"ap": 0, "ap50": 1, "ap75": 2, "ar": 8}
    return {name: float(evaluation.stats[place]) for name, place in names.items()} | {
        "pages": len(targets),
        "digits": len(truth.dataset["annotations"]),
    }


def _corner_and_size(box: list[float]) -> list[float]:
    x_min, y_min, x_max, y_max = box
    return [x_min, y_min, x_max - x_min, y_max - y_min]
