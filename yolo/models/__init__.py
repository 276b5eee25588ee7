"""Networks: a torchvision backbone, a neck and head, and the weights that go into them."""
