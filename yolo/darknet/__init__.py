"""Everything of darknet, without darknet: its files, its networks, its training.

    text of a .cfg -> cfg -> net_section, sections -> plan: every layer with checked shapes
    plan -> modules -> network (trainable), inference (fused copy)
    plan + .weights <-> weights: numpy views of the file <-> load: tensors of a network
    lookup: which cfg and class names belong to a file, and what is in it
    recipe, augment: darknet's training as options of ours, and its augmentation

Only `modules`, `network`, `inference`, `load` and `augment` import torch.
Source: pjreddie/darknet at commit f6afaabc.
"""
