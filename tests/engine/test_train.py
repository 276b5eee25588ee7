import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from tests.data.dataset_trees import coco_content, put_image, put_json
from tests.engine.darknet_detectors import tiny_config
from tests.engine.runs import interrupt_after, rows_of
from tests.engine.shapes import break_image, draw_shapes, quick_config
from yolo.config import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig
from yolo.data.dataset import SampleKey
from yolo.data.loader import TrainBatches
from yolo.engine import train as train_module
from yolo.engine.detector_file import load_detector
from yolo.engine.learner import Learner, make_optimizer
from yolo.engine.progress import TrainingProgress
from yolo.engine.train import TrainingRun, train
from yolo.engine.train_log import RunFolder
from yolo.engine.train_state import Training, save
from yolo.errors import ConfigError, DataError, GridYoloError
from yolo.losses.yolo_loss import TERM_NAMES, LossTerms, YoloLoss
from yolo.media.drawing import batch_sheet
from yolo.structures import Batch


@pytest.fixture(scope="module")
def reported(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(quick_config(shapes, tmp_path_factory.mktemp("reported"), epochs=1, report=True))


def test_a_run_leaves_everything_behind(reported: TrainingRun) -> None:
    names = {path.relative_to(reported.folder).as_posix() for path in reported.folder.rglob("*") if path.is_file()}
    assert names == {
        "config.yaml", "environment.json", "data.json", "events.jsonl", "results.csv", "results.png",
        "report.html", "summary.md", "metrics.json", "per_class.csv", "errors.csv", "predictions.json",
        "ground_truth.json", "PR_curve.png", "P_curve.png", "R_curve.png", "F1_curve.png", "confusion_matrix.png",
        "confusion_matrix_normalized.png", "errors.png", "calibration.png", "sizes.png", "samples.jpg",
        "train_batch0.jpg", "train_batch1.jpg",
        "weights/best.safetensors", "weights/last.ckpt",
    }  # fmt: skip
    assert yaml.safe_load((reported.folder / "config.yaml").read_text())["epochs"] == 1


def test_a_run_learns(trained: TrainingRun) -> None:
    assert trained.evaluation is not None
    assert trained.evaluation.result.map_50 > 0.8
    rows = rows_of(trained.folder)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 51))
    assert float(rows[-1]["train/coord_wh_loss"]) < float(rows[0]["train/coord_wh_loss"])
    assert float(rows[-1]["metrics/mAP50"]) == pytest.approx(trained.evaluation.result.map_50, abs=0.02)
    assert json.loads((trained.folder / "metrics.json").read_text())["num_images"] == 4


def test_a_tilde_in_the_path_of_the_data_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the process was put before it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"tried\n  {tmp_path}/nowhere$"):
        train(quick_config(Path("~/nowhere"), tmp_path))


def test_the_history_of_a_training_is_written_down(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, norms = Learner.update, []

    def recorded(learner: Learner) -> bool:
        done = update(learner)
        norms.append(learner.grad_norm)
        return done

    monkeypatch.setattr(Learner, "update", recorded)
    run = train(tiny_config(shapes, tmp_path, epochs=4, validations=2))
    rows = rows_of(run.folder)
    means = [sum(norms[2 * k : 2 * k + 2]) / 2 for k in range(4)]
    assert [float(row["grad_norm"]) for row in rows] == pytest.approx(means, rel=1e-4)
    columns = [f"val/{name}_loss" for name in TERM_NAMES]
    assert [all(float(row[name] or "nan") >= 0 for name in columns) for row in rows] == [False, True, False, True]
    assert set(run.seconds) == {"steps", "images", "validation", "saving", "report"}
    *_, last = (json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines())
    assert last["seconds"] == pytest.approx(run.seconds, abs=0.01)


def test_the_curves_of_a_training_that_goes_on_or_was_interrupted(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr("yolo.engine.train_log._REDRAWN_SECONDS", 0.0)
    monkeypatch.setattr(RunFolder, "plot", lambda folder, history: drawn.append(len(history.rows)))
    train(tiny_config(shapes, tmp_path, epochs=3))
    assert drawn == [1, 2, 3, 3]
    drawn.clear()
    monkeypatch.setattr("yolo.engine.train_log._REDRAWN_SECONDS", 60.0)
    interrupt_after(3, monkeypatch)
    assert train(tiny_config(shapes, tmp_path, epochs=3)).interrupted
    assert drawn == [1]


def test_the_first_three_batches_are_drawn_as_they_are_trained_on(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, learned, drawn = Learner.learn, [], []

    def learn_recorded(learner: Learner, batch: Batch, **options: Any) -> dict[str, float]:
        learned.append(batch)
        return learn(learner, batch, **options)

    def draw_recorded(batch: Batch, captions: list[str], names: tuple[str, ...]) -> Any:
        drawn.append((batch, captions))
        return batch_sheet(batch, captions, names)

    monkeypatch.setattr(Learner, "learn", learn_recorded)
    monkeypatch.setattr("yolo.engine.train_data.batch_sheet", draw_recorded)
    run = train(tiny_config(shapes, tmp_path))
    assert len(learned) == 4
    assert [path.name for path in sorted(run.folder.glob("*batch*"))] == [f"train_batch{k}.jpg" for k in range(3)]
    for (batch, captions), other in zip(drawn, learned, strict=False):
        assert torch.equal(batch.images, other.images)
        assert torch.equal(batch.targets.boxes, other.targets.boxes)
        assert captions == [f"{index}.png" for index in other.indices]


def test_the_numbers_and_the_weights_are_told_before_the_report_is_written(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(record=True, width=500, file=io.StringIO())
    told = []
    keep = lambda *given, **options: told.append(console.export_text(clear=False))  # noqa: E731
    monkeypatch.setattr("yolo.engine.train_end.write_evaluation", keep)
    run = train(tiny_config(shapes, tmp_path, report=True), console)
    weights = run.folder / "weights" / "best.safetensors"
    assert f"best weights: epoch {run.best_epoch}, " in told[0]
    assert str(weights) in told[0]
    assert told[0].index("; train longer") < told[0].index("best weights")
    assert console.export_text().splitlines()[-1].startswith("time: 0:")


def test_runs_never_overwrite(shapes: Path, tmp_path: Path) -> None:
    folders = [train(tiny_config(shapes, tmp_path, epochs=1)).folder.name for _ in range(2)]
    assert folders == ["train", "train-2"]


def test_a_bad_image_is_counted_and_shown_and_does_not_end_the_run(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    broken = tmp_path / "data" / "images" / "train" / "3.png"
    break_image(broken)
    console = Console(record=True, width=500, file=io.StringIO())
    run = train(quick_config(data, tmp_path, epochs=2), console)
    assert list(run.unreadable) == [str(broken)]
    (told,) = json.loads((run.folder / "data.json").read_text())["unreadable"]
    assert told["path"] == str(broken)
    assert console.export_text().count(str(broken)) == 1


def test_backgrounds_only_do_not_hurt(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    for index in range(8):
        path = tmp_path / "data" / "labels" / "train" / f"{index}.txt"
        if index > 0:
            path.write_text("")
    run = train(quick_config(data, tmp_path, epochs=1, batch_size=1))
    assert run.evaluation is not None


def test_an_input_of_one_cell_trains_and_validates_although_a_batch_of_one_cannot(tmp_path: Path) -> None:
    """It ended in "Expected more than 1 value per channel when training"."""
    data = draw_shapes(tmp_path / "data", num_train=5, num_val=1)
    options: dict[str, Any] = {"input_size": 32, "model": ModelConfig(grid_size=1), "epochs": 1}
    console = Console(record=True, width=500, file=io.StringIO())
    run = train(quick_config(data, tmp_path, batch_size=4, **options), console)
    assert run.evaluation is not None
    assert "the last batch of an epoch has one image and is skipped" in console.export_text()
    # parts of 2, 2 and 1: the last image goes with those before
    assert train(quick_config(data, tmp_path, batch_size=5, subdivisions=3, **options)).evaluation is not None
    with pytest.raises(ConfigError, match=r"input of 32x32 .*maps of one pixel.*use a larger batch_size"):
        train(quick_config(data, tmp_path / "none", batch_size=1, **options))
    assert not (tmp_path / "none").exists()


class LossWithNaN(YoloLoss):
    """Not finite at the steps named."""

    bad_steps: frozenset[int] = frozenset(range(1000))

    def __call__(self, *arguments: Any) -> LossTerms:
        terms = super().__call__(*arguments)
        STEPS.append(1)
        if len(STEPS) - 1 not in self.bad_steps:
            return terms
        return replace(terms, coord_wh=terms.coord_wh * torch.nan)


STEPS: list[int] = []


def test_a_loss_that_stays_non_finite_ends_with_names(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    STEPS.clear()
    monkeypatch.setattr("yolo.engine.learner.YoloLoss", LossWithNaN)
    with pytest.raises(GridYoloError, match=r"coord_wh was not finite for 10 steps in a row.*optimizer.lr"):
        train(tiny_config(shapes, tmp_path, epochs=10))
    (events,) = tmp_path.rglob("events.jsonl")
    assert "non-finite step" in events.read_text()


def test_single_bad_steps_are_skipped_and_leave_no_trace(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad loss, a bad gradient, and a forward pass that overflows into the batch norms' statistics."""
    STEPS.clear()
    monkeypatch.setattr("yolo.engine.learner.YoloLoss", LossWithNaN)
    monkeypatch.setattr(LossWithNaN, "bad_steps", frozenset({1}))
    step, calls = Learner.update, []

    def sabotage(learner: Learner) -> bool:
        calls.append(1)
        norm = next(m for m in learner.network.modules() if isinstance(m, torch.nn.BatchNorm2d))
        assert norm.running_mean is not None
        if len(calls) == 3:
            norm.running_mean.data.fill_(torch.nan)
            next(p.grad for p in learner.network.parameters() if p.grad is not None).fill_(torch.inf)
        return step(learner)

    monkeypatch.setattr(Learner, "update", sabotage)
    run = train(quick_config(shapes, tmp_path, epochs=3))
    events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [event["terms"] for event in events if event["event"] == "non-finite step"] == [["coord_wh"], ["gradient"]]
    state = torch.load(run.folder / "weights" / "last.ckpt", weights_only=True)
    for part in ("network", "average"):
        assert all(bool(value.isfinite().all()) for value in state[part].values())


def test_fp16_needs_cuda_and_its_optimiser_can_be_clipped(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        train(quick_config(shapes, tmp_path, precision="fp16"))
    assert list(tmp_path.iterdir()) == []  # a run that cannot start leaves no folder
    network = torch.nn.Linear(2, 2)
    for fused in (False, True):
        optimizer = make_optimizer(network, OptimizerConfig(), fused=fused)
        # what Fabric asks before it clips scaled gradients
        assert getattr(optimizer, "_step_supports_amp_scaling", False) == fused


def test_a_schedule_that_ends_between_two_validations_still_validates_its_last_weights(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_save(training: Training) -> None:
        save(training)
        training.began -= 600  # as if it had taken ten minutes

    monkeypatch.setattr(train_module, "save", slow_save)
    run = train(tiny_config(shapes, tmp_path, epochs=None, max_minutes=10, validations=1))
    assert run.evaluation is not None


def test_the_time_budget_ends_the_run(shapes: Path, tmp_path: Path) -> None:
    run = train(quick_config(shapes, tmp_path, epochs=None, max_minutes=0.03))
    assert run.evaluation is not None
    assert 0.03 <= run.minutes < 0.5
    rows = rows_of(run.folder)
    assert float(rows[-1]["lr/pg0"]) < 2e-3 * 0.6


def test_a_budget_of_less_than_an_epoch_still_has_all_parts_of_a_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten steps of ten seconds in a budget of a hundred; an epoch has twelve."""
    clock, mixed, update = [0.0], list[bool](), Learner.update
    monkeypatch.setattr("yolo.engine.train_state.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def slow_update(learner: Learner) -> bool:
        clock[0] += 10
        return update(learner)

    class RecordedBatches(TrainBatches):
        def __iter__(self) -> Iterator[list[SampleKey]]:
            for keys in super().__iter__():
                mixed.append(keys[0].with_mosaic)
                yield keys

    monkeypatch.setattr(Learner, "update", slow_update)
    monkeypatch.setattr("yolo.engine.train_data.TrainBatches", RecordedBatches)
    data, told = draw_shapes(tmp_path / "data", num_train=12, num_val=1), list[TrainingProgress]()
    config = quick_config(data, tmp_path, epochs=None, max_minutes=100 / 60, batch_size=1, validations=20)
    run = train(config, on_progress=told.append)
    assert mixed[:10] == [True] * 9 + [False]  # the last 15 % are of whole images
    rates = [one.lr / config.optimizer.peak_lr for one in told if not one.validated]
    assert len(rates) == 10
    assert max(rates) == rates[1] > 0.95
    assert rates[0] == 1 / 500
    assert rates[-1] < 0.05
    assert [one.validated for one in told] == [False] * 10 + [True]
    assert run.best_epoch == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "precision": "bf16"},
        {"coding": "linear"},
        {"resize": "stretch", "grid_size": 8},
    ],
)
def test_other_recipes_run(shapes: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    options: dict[str, Any] = {}
    if "optimizer" in changes:
        options = {"optimizer": OptimizerConfig(name="sgd", lr=0.01), "precision": changes["precision"]}
    elif "coding" in changes:
        original = LossConfig(
            coord="squared", confidence="squared", class_prob="squared", ignore_iou=None, objects_per_cell=1
        )
        options = {"model": ModelConfig(coding="linear"), "loss": original}
    else:
        options = {"model": ModelConfig(resize="stretch", grid_size=8), "augment": AugmentConfig(mosaic=0)}
    run = train(quick_config(shapes, tmp_path, epochs=1, **options))
    network, metadata = load_detector(run.folder / "weights" / "best.safetensors")
    assert network.spec == metadata.network
    assert run.evaluation is not None


@pytest.mark.slow
def test_one_image_is_overfitted_to_nearly_no_loss(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", num_train=1, num_val=1)
    off = AugmentConfig(mosaic=0, scale=0, translate=0, flip_horizontal=0, hue=0, saturation=0, value=0)
    run = train(quick_config(data, tmp_path, epochs=400, batch_size=1, validations=1, augment=off))
    rows = rows_of(run.folder)
    first, last = (
        sum(float(row[column]) for column in row if column.startswith("train/")) for row in (rows[0], rows[-1])
    )
    assert last < first / 50


def test_an_image_of_another_size_than_stated_is_used_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of very large splits are taken from the annotations; decoding finds the truth."""
    monkeypatch.setattr("yolo.formats.paths.AUTO_READS", 0)
    data = tmp_path / "coco"
    content = coco_content(
        ["a.png", "b.png"],
        [{"image_id": k, "category_id": 1, "bbox": [2, 2, 20, 10], "area": 200, "iscrowd": 0} for k in (10, 11)],
        {1: "cat"},
    )
    content["images"][1] |= {"width": 400, "height": 300}
    for name in ("train", "val"):
        put_json(data / "annotations" / f"instances_{name}.json", content)
        for image in ("a.png", "b.png"):
            put_image(data / name / image)
    run = train(quick_config(data, tmp_path, epochs=1, augment=AugmentConfig(mosaic=0)))
    noted = json.loads((run.folder / "data.json").read_text())["noted"]
    assert [Path(note["path"]).name for note in noted] == ["b.png"]
    assert "is 40 x 20 pixels, its annotation says 400 x 300" in noted[0]["text"]
