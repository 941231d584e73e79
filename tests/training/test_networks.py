import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from tests.conftest import VOTERS, draw
from training import networks
from training.data.pages import ink_boxes
from training.networks import faster_rcnn
from training.recipe import NONE, initialise
from training.task import Data


def digits(count):
    images = [torch.from_numpy(255 - draw(str(i % 10), (28, 28), 0.8, 2)) for i in range(count)]
    return torch.stack(images)[:, None].float() / 255, torch.arange(count) % 10


def loss_of(name, network, images, labels):
    """The loss of a batch without augmentation."""
    module = networks.load(name)
    task = module.TASK(module, module.RECIPE, torch.device("cpu"), Data())
    compose = getattr(network, "compose", None)
    return task.loss(network, [(images, labels)] if compose is None else compose(images, labels))


@pytest.mark.parametrize("name", VOTERS)
def test_loss_falls_on_one_batch(name):
    torch.manual_seed(0)
    network = networks.load(name).Network().train()
    images, labels = digits(8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = loss_of(name, network, images, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])


@pytest.mark.parametrize("name", VOTERS)
def test_logits_are_ten_an_image_and_do_not_depend_on_the_rest_of_the_batch(name):
    torch.manual_seed(0)
    network = networks.load(name).Network().eval()
    images, _ = digits(5)
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (5, 10) and torch.allclose(logits[2], network(images[2:3])[0], atol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """A network after a few dozen steps on ten typed digits, which give boxes with high scores."""
    torch.manual_seed(0)
    network = networks.load("faster_rcnn").Network().train()
    images, labels = digits(10)
    boxes = ink_boxes(images)
    targets = [{"boxes": boxes[i : i + 1], "labels": labels[i : i + 1]} for i in range(10)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(160):
        network.loss(images, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.eval()


@torch.no_grad()
def test_faster_rcnn_finds_what_torchvision_finds(trained, monkeypatch):
    """Our inference for export, without its second look, agrees with torchvision's over the same parts."""
    monkeypatch.setattr(faster_rcnn, "PER_REGION", 1)  # look at as many regions as torchvision does
    monkeypatch.setattr(faster_rcnn, "AGAIN", 1_000)  # look again at none
    images = digits(10)[0]
    boxes, scores, *_ = trained.detect(images)
    features = {"features": trained.backbone(images)}
    sizes = [(28, 28)] * 10
    proposals, _ = trained.rpn(ImageList(images, sizes), features)
    expected, _ = trained.roi_heads(features, proposals, sizes)
    for i, detection in enumerate(expected):
        assert detection["scores"][0] > 0.5
        assert box_iou(detection["boxes"][:1], boxes[i, :1]).item() > 0.75
        assert scores[i, 0].argmax() == detection["labels"][0] - 1


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 16), (30, 61), (64, 200)])
def test_faster_rcnn_takes_any_size_and_its_boxes_stay_inside(trained, size):
    boxes, scores, logits, *_ = trained.detect(torch.rand(2, 1, *size))
    assert boxes.shape[0] == 2 and boxes.shape[2] == 4
    assert scores.shape == (*boxes.shape[:2], 10) and logits.shape == (2, 10)
    assert boxes.min() >= 0 and boxes[..., 2].max() <= size[1] and boxes[..., 3].max() <= size[0]
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


@pytest.mark.parametrize("name", VOTERS)
def test_a_batch_without_any_digit_has_a_finite_loss(name):
    torch.manual_seed(0)
    network = networks.load(name).Network().train()
    loss = loss_of(name, network, digits(8)[0], torch.full((8,), NONE))
    loss.backward()
    assert loss.isfinite() and all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_faster_rcnn_trains_on_digits_and_non_digits_alone_and_on_pages(monkeypatch):
    torch.manual_seed(0)
    images, labels = torch.rand(64, 1, 28, 28), torch.full((64,), 3)
    labels[:24] = NONE  # as in a real batch, images of one source are together
    on_pages, named = [], []
    compose = faster_rcnn.compose

    def watch(digits, labels, size, per_canvas):
        on_pages.append((labels == NONE).float().mean().item())
        return compose(digits, labels, size, per_canvas)

    network = faster_rcnn.Network().train()
    monkeypatch.setattr(faster_rcnn, "compose", watch)
    for _ in range(20):
        named += [targets for _, targets in network.compose(images, labels)][1:]
    alone = [len(target["labels"]) for targets in named for target in targets]
    for share in (sum(on_pages) / len(on_pages), 1 - sum(alone) / len(alone)):
        assert abs(share - 24 / 64) < 0.08


@torch.no_grad()
def test_faster_rcnn_has_fewer_regions_on_small_images(trained):
    """A 28x28 image holds one digit; 32 regions in it took two thirds of the network's time."""
    counts = [trained.detect(torch.rand(2, 1, *size))[0].shape[1] for size in [(28, 28), (64, 49), (128, 128)]]
    assert counts == [8, 32, 32]


def imagenet(folder):
    """A file of AlexNet's pretrained convolutions: all weights one half."""
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {f"features.{layer}.weight": torch.full(shape, 0.5) for layer, shape in shapes.items()}
    state |= {f"features.{layer}.bias": torch.full(shape[:1], 0.5) for layer, shape in shapes.items()}
    path = folder / "alexnet_imagenet_features.pt"
    torch.save(state, path)
    return path


def test_fine_tuning_starts_from_the_weights_of_a_file_or_of_imagenet_root(tmp_path, monkeypatch):
    path = imagenet(tmp_path)
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    for weights, name in ((str(path), "alexnet_imagenet_features"), ("imagenet", "ImageNet")):
        network = networks.load("alexnet").Network()
        assert initialise(network, "alexnet", weights) == name
        convolutions = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
        assert len(convolutions) == 5 and all((m.weight == 0.5).all() and (m.bias == 0.5).all() for m in convolutions)


def test_weights_that_cannot_be_downloaded_give_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(FileNotFoundError, match="put alexnet_imagenet_features.pt into IMAGENET_ROOT"):
        networks.load("alexnet").Network().load_weights("imagenet")
