"""Detections and ground truth in files, of any detector: COCO json, comp4 of the VOC devkit, YOLO txt."""
