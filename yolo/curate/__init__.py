"""Looking at a dataset: what is wrong with it, its numbers, and what a grid can hold of it.

From a split in memory to a dataset on disk, in any format; and dividing datasets by lists.

Public datasets by name: fetched, verified, unpacked. The only part of the package that opens a connection.

Drawn scenes with exact boxes: a dataset from nothing.
"""
