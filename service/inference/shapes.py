"""The few shapes that models are warmed up for, so that memory and speed are settled before the first request."""

SIZES = 32, 8, 1  # images in a batch, the largest first: memory that grows later is not given back
LARGEST = SIZES[0]  # callers with more images take turns with the others
