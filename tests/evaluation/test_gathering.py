import json
import multiprocessing
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from tests.reference.coco_oracle import random_problem
from yolo.evaluation import Evaluator
from yolo.evaluation.gathering import gather
from yolo.evaluation.voc import VocEvaluator


def evaluators(*, rank: int, ranks: int) -> tuple[Evaluator, VocEvaluator]:
    """What one rank evaluated."""
    problem = random_problem(3, num_images=7, num_classes=2, coarse=True)
    coco, voc = Evaluator(problem.class_names), VocEvaluator(problem.class_names, interpolation="all-point")
    for image_id in list(problem.truths)[rank::ranks]:
        for evaluator in (coco, voc):
            evaluator.update(image_id, problem.detections[image_id], problem.truths[image_id])
    return coco, voc


def numbers(coco: Evaluator, voc: VocEvaluator) -> dict[str, Any]:
    return {"coco": coco.compute().to_dict(), "voc": voc.compute().to_dict(curves=True)}


def run_rank(rank: int, folder: str) -> None:
    """Write down what this rank gets."""
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=timedelta(seconds=90))
    try:
        own = evaluators(rank=rank, ranks=2)
        sizes = [len(one) for one in own]
        whole = numbers(gather(own[0]), gather(own[1]))
        assert [len(one) for one in own] == sizes, "gathering changed what was given"
        Path(folder, f"{rank}.json").write_text(json.dumps(whole), encoding="utf-8")
    finally:
        dist.destroy_process_group()


def test_every_rank_gets_the_numbers_of_all_images(tmp_path: Path) -> None:
    other = multiprocessing.get_context("spawn").Process(target=run_rank, args=(1, str(tmp_path)))
    other.start()
    run_rank(0, str(tmp_path))  # this process is the other rank: a second start of torch takes seconds
    other.join(90)
    assert other.exitcode == 0
    expected = json.dumps(numbers(*evaluators(rank=0, ranks=1)))
    for rank in range(2):
        assert (tmp_path / f"{rank}.json").read_text(encoding="utf-8") == expected


def test_without_a_process_group_nothing_happens() -> None:
    coco, voc = evaluators(rank=0, ranks=1)
    assert gather(coco) is coco
    assert gather(voc) is voc
