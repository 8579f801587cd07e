"""The size in pixels that a training picture is learned at: its own shape, at the run's number of pixels.

A square picture gives the resolution itself. Others get the nearest of a family of sizes with about as many pixels, so
that pictures of one shape can share a batch.
"""

from __future__ import annotations

import math

Size = tuple[int, int]

STEPS = 16
"""Steps of a side per resolution: at 1024 pixels sides come in multiples of 64, as kohya's and ai-toolkit's buckets."""

LONGEST = 2.0
"""A picture more than twice as long as wide is cut to that: longer ones cost the subject its detail."""


def sizes(resolution: int, stride: int) -> list[Size]:
    """Every size of a resolution, (width, height), the square first. Sides are multiples of `stride` pixels."""
    step = max(stride, resolution // STEPS // stride * stride)
    found = {(resolution, resolution): None}
    width = step
    while width <= resolution * math.sqrt(LONGEST):
        height = max(step, round(resolution * resolution / width / step) * step)
        if max(width, height) <= LONGEST * min(width, height):
            found[width, height] = None
            found[height, width] = None
        width += step
    return list(found)


def nearest(width: int, height: int, resolution: int, stride: int) -> Size:
    """The bucket whose shape is nearest to the picture's; of equally near ones the first."""
    shape = math.log(width / height)
    return min(sizes(resolution, stride), key=lambda size: abs(math.log(size[0] / size[1]) - shape))
