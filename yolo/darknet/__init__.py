"""Everything of darknet, without darknet: its files, its networks, its training.

    text of a .cfg -> cfg -> net, sections -> plan: every layer with checked shapes
    plan -> modules -> network (trainable), inference (fused copy)
    plan + .weights <-> weights: numpy views of the file <-> load: tensors of a network
    lookup: which cfg and class names belong to a file    describe: what `gridyolo darknet show` prints
    recipe, augment: darknet's training as options of ours, and its augmentation

`cfg`, `net`, `sections`, `layers`, `plan`, `lookup` and `describe` allocate nothing and do not import torch.
Source: pjreddie/darknet at commit f6afaabc.
"""
