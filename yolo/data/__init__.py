"""From a dataset on disk to training batches: finding and reading it, cleaning its boxes, dataset and loader."""
