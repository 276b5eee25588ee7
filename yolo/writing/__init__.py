"""From a split in memory to a dataset on disk, in any format; and dividing datasets by lists."""
