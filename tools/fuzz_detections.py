"""Feed damaged and invented files to the readers of ground truth and detections, guided by the lines they reach.

    pip install atheris          # wheels for Linux; not part of the development tools
    python tools/fuzz_detections.py [--seconds 60]

The first byte of an input chooses the file: COCO ground truth, COCO results, comp4, YOLO txt with scores or VOC xml.
The rest becomes that file beside a good one on the other side. Both must become a problem of finite numbers, or be
refused with an error for people. What else happens ends the run as in `fuzz_data.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzzing import Target, run

TRUTH = """{"images":[{"id":1,"file_name":"a.png","width":40,"height":20}],"categories":[{"id":7,"name":"cat"}],
"annotations":[{"id":5,"image_id":1,"category_id":7,"bbox":[1,2,3.5,4],"area":14,"iscrowd":0,"difficult":1}]}"""
RESULTS = """[{"image_id":1,"category_id":7,"bbox":[1,2,3.5,4],"score":0.5},
{"image_id":"a.png","category_id":8,"bbox":[1,2,3.5,4],"score":1e-3}]"""
VOC = """<annotation><size><width>40</width><height>20</height></size><object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12.5</ymax></bndbox></object></annotation>"""
COMP4 = "a 0.5 1 2 9 12.5\na 0.25 3 4 5 6\n"
YOLO = "0 0.5 0.5 0.25 0.5 0.9\n0 .1 .1 .2 .2 .3\n"
SEEDS = {b"g": TRUTH, b"r": RESULTS, b"c": COMP4, b"y": YOLO, b"v": VOC}
WORDS = (
    *("image_id", "category_id", "bbox", "file_name", "iscrowd", "score", "area", "annotations", "segmentation"),
    *("NaN", "Infinity", "1e999", "null", "true", "false", "nan", "inf", "-1", "},{", "[[", "\\xef\\xbb\\xbf"),
    *("<object>", "<bndbox>", "<xmin>", "<name>", "<!DOCTYPE a [", "99999999999999999999"),
)


def main() -> None:
    run(
        Target(
            script=Path(__file__),
            about=(__doc__ or "").partition("\n")[0],
            package="yolo.formats",
            modules=("yolo.engine.detection_files", "yolo.evaluation.summary"),
            megabytes=1536,  # what is imported needs half of it
            words=WORDS,
            seeds=seeds,
            make_test=make_test,
        )
    )


def seeds() -> list[bytes]:
    """Good files to start from."""
    return [first + text.encode() for first, text in SEEDS.items()]


def make_test(root: Path) -> Callable[[bytes], None]:
    """The function that gets each input; raises for what must not happen."""
    from yolo.engine.detection_files import read_problem
    from yolo.errors import GridYoloError

    pairs = make_files(root)

    def test(data: bytes) -> None:
        file, truth, found, good = pairs[data[:1] if data[:1] in pairs else b"r"]
        file.write_bytes(data[1:])
        try:
            problem, gt, dt = read_problem(truth, found)
            check(problem, [str(warning) for warning in gt.warnings + dt.warnings])
        except GridYoloError as error:
            if not str(error):
                raise AssertionError("an error without a message") from error
            str(error).encode()  # printable
        finally:
            file.write_text(good)

    return test


def check(problem: object, warnings: list[str]) -> None:
    """That numbers are finite, everything belongs somewhere, and it can be evaluated."""
    import numpy as np

    from yolo.detection_sets import EvaluationData
    from yolo.evaluation.summary import summarise

    assert isinstance(problem, EvaluationData)
    for columns in (problem.truths, problem.detections):
        assert np.isfinite(columns.boxes).all()
        assert np.isfinite(columns.sizes_wh).all()
        assert ((columns.labels >= 0) & (columns.labels < problem.num_classes)).all()
        assert ((columns.image_index >= 0) & (columns.image_index < len(problem.images))).all()
    assert np.isfinite(problem.truths.area).all()
    assert np.isfinite(problem.detections.scores).all()
    "".join(warnings).encode()
    summarise(problem)


def make_files(root: Path) -> dict[bytes, tuple[Path, Path, Path, str]]:
    """For each first byte: the file to be replaced, ground truth, detections, what the file holds otherwise."""
    for folder in ("voc", "comp4", "yolo"):
        (root / folder).mkdir(parents=True)
    truth, results = root / "gt.json", root / "dt.json"
    xml, comp4, yolo = root / "voc" / "a.xml", root / "comp4" / "comp4_det_test_cat.txt", root / "yolo" / "a.txt"
    for path, text in ((truth, TRUTH), (results, RESULTS), (xml, VOC), (comp4, COMP4), (yolo, YOLO)):
        path.write_text(text)
    return {
        b"g": (truth, truth, results, TRUTH),
        b"r": (results, truth, results, RESULTS),
        b"c": (comp4, xml.parent, comp4.parent, COMP4),
        b"y": (yolo, truth, yolo.parent, YOLO),
        b"v": (xml, xml.parent, comp4.parent, VOC),
    }


if __name__ == "__main__":
    main()
