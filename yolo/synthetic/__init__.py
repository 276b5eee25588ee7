"""Drawn scenes with exact boxes: a dataset from nothing."""
