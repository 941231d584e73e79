"""The shapes that models are warmed up for, so that the first request gets their final speed and memory."""

SIZES = 32, 8, 1  # images in a batch; the largest is first, because memory that grows later is not freed
LARGEST = SIZES[0]  # callers with more images take turns with others
PAGES = (64, 256), (64, 128), (64, 64)  # height and width in pixels of a line of connected digits


def size_for(count: int) -> int:
    """The smallest size that holds `count` images, 1 to LARGEST."""
    return min(size for size in SIZES if size >= count)


def page_for(height: int, width: int) -> tuple[int, int] | None:
    """The smallest of PAGES that holds a page, or None if it fits none."""
    return min((page for page in PAGES if page[0] >= height and page[1] >= width), default=None)
