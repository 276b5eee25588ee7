"""From disk to batches: the formats (VOC, COCO, YOLO, CSV), the account of what was read, dataset and loader."""
