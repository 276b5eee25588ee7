"""What is seen through a crop, straight or bent: pixels, boxes, or a whole sample."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yolo.structures import Float32, Sample
from yolo.transforms.crop import Crop, crop_boxes, crop_image, cut_boxes, whole_frame
from yolo.transforms.warp import Bend, warp_boxes, warp_image


def see_image(image: NDArray[np.uint8], crop: Crop, bend: Bend | None) -> NDArray[np.uint8]:
    """(h, w, 3) pixels of the crop's result."""
    return crop_image(image, crop) if bend is None else warp_image(image, crop, bend)


def see_boxes(boxes: Float32, crop: Crop, bend: Bend | None) -> Float32:
    """(M, 4) boxes in pixels of the crop's result, beyond its borders, too."""
    return crop_boxes(boxes, crop) if bend is None else warp_boxes(boxes, crop, bend)


def see(sample: Sample, crop: Crop, bend: Bend | None) -> Sample:
    """A sample on the crop's result; what is mostly cut away is `difficult`, what is wholly cut away goes."""
    moved = see_boxes(sample.ground_truth.boxes, crop, bend)
    ground_truth = cut_boxes(sample.ground_truth, moved, whole_frame(crop.size_hw))
    return replace(sample, image=see_image(sample.image, crop, bend), ground_truth=ground_truth, geometry=None)
