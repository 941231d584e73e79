"""The shapes that models are warmed up for, so that the first request gets their final speed and memory."""

SIZES = 32, 8, 1  # images in a batch; the largest is first, because memory that grows later is not freed
LARGEST = SIZES[0]  # callers with more images take turns with others


def size_for(count: int) -> int:
    """The smallest size that holds `count` images, 1 to LARGEST."""
    return min(size for size in SIZES if size >= count)
