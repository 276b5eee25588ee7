"""From what a reader says of a source to annotated images, as `read_split` does it."""

from collections.abc import Sequence

import numpy as np

from yolo.data.classes import ClassRules, relabel
from yolo.data.cleaning import BoxPolicy, clean_objects
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages, RawSource, StringArray
from yolo.formats.paths import ImageSizes
from yolo.structures import AnnotatedImage


def header_sizes(account: ReadReport) -> ImageSizes:
    return ImageSizes(account)


def cleaned(
    source: RawSource, names: Sequence[str], account: ReadReport, *, policy: BoxPolicy = "fix"
) -> dict[str, AnnotatedImage]:
    """The images by their id."""
    source = relabel(source, names, ClassRules(), account)
    truth, rows = clean_objects(source, policy=policy, report=account)
    image_index = source.objects.image_index[rows]
    counts = np.bincount(image_index, minlength=len(source.paths))
    account.keep_images(len(counts), backgrounds=int((counts == 0).sum()), objects=len(truth))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    images = AnnotatedImages(StringArray(source.image_ids), StringArray(source.paths), source.sizes_hw, offsets, truth)
    return {image.image_id: image for image in images}
