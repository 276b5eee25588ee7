"""darknet's two file formats, read and written without darknet: `.cfg` (the network) and `.weights` (its numbers).

    text of a .cfg -> cfg.py -> sections -> sections.py, plan.py -> NetworkPlan: every layer with checked shapes
    NetworkPlan + .weights <-> weights.py <-> numpy arrays

Leaves out: anything that computes. The networks themselves are built from a plan in `yolo/models`.
Source: pjreddie/darknet at commit f6afaabc.
"""
