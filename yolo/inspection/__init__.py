"""Looking at a dataset: what is wrong with it, its numbers, and what a grid can hold of it."""
