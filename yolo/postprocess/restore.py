"""From pixels of the network's input back to pixels of the original image."""

from yolo.boxes import clip_to_image
from yolo.structures import Detections, ImageGeometry


def restore(detections: Detections, geometry: ImageGeometry) -> Detections:
    """Undo the letterbox or stretch that `geometry` records, and clip to the original image.

    Detections that lay wholly in the padding are dropped: nothing of them is left on the image.
    """
    offset = detections.boxes.new_tensor(geometry.offset_xy * 2)
    scale = detections.boxes.new_tensor(geometry.scale_xy * 2)
    boxes = clip_to_image((detections.boxes - offset) / scale, geometry.original_hw)
    on_image = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return Detections(boxes, detections.scores, detections.labels, geometry.original_hw)[on_image]
