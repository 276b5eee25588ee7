"""What annotation tools export, unpacked: two images of train, one of val where the tool divides, two objects on each.

Written from descriptions of the layouts; every image is 40 x 20 and has the same objects.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.data.dataset_trees import HEIGHT, WIDTH, put_image, put_json, put_text, voc_object

OBJECTS = {"cat": (4.0, 2.0, 14.0, 12.0), "dog": (10.0, 5.0, 30.0, 15.0)}
TRAIN, VAL = ("x1", "x2"), ("y1",)
LABELS = "0 0.225 0.35 0.25 0.5\n1 0.5 0.5 0.5 0.5\n"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def images(folder: Path, names: Sequence[str] = TRAIN, *, before: str = "") -> None:
    for name in names:
        put_image(folder / f"{before}{name}.jpg")


def labels(folder: Path, names: Sequence[str] = TRAIN) -> None:
    for name in names:
        put_text(folder / f"{name}.txt", LABELS)


def voc(folder: Path, names: Sequence[str] = TRAIN) -> None:
    boxes = {name: (x1 + 1, y1 + 1, x2, y2) for name, (x1, y1, x2, y2) in OBJECTS.items()}
    objects = "".join(voc_object(name, box) for name, box in boxes.items())
    for name in names:
        put_text(folder / f"{name}.xml", f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>")


def coco(names: Sequence[str] = TRAIN, *, called: str = "{}.jpg", root: bool = False) -> dict[str, Any]:
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    if root:
        categories = [{**one, "supercategory": "pets-abcd"} for one in categories]
        categories.insert(0, {"id": 0, "name": "pets-abcd", "supercategory": "none"})
    boxes = [(number, x1, y1, x2 - x1, y2 - y1) for number, (x1, y1, x2, y2) in enumerate(OBJECTS.values(), start=1)]
    annotations = [
        {"id": 2 * place + number, "image_id": place, "category_id": number, "bbox": box, "area": box[2] * box[3]}
        for place, _ in enumerate(names)
        for number, *box in boxes
    ]
    listed = [
        {"id": place, "file_name": called.format(name), "width": WIDTH, "height": HEIGHT}
        for place, name in enumerate(names)
    ]
    return {"info": {}, "images": listed, "annotations": annotations, "categories": categories}


def csv_text(names: Sequence[str] = TRAIN) -> str:
    rows = [(name, label, *map(int, box)) for name in names for label, box in OBJECTS.items()]
    return HEADER + "".join(f"{row[0]}.jpg,40,20,{','.join(map(str, row[1:]))}\n" for row in rows)


def tf_csv(root: Path) -> None:
    images(root / "images", (*TRAIN, *VAL))
    put_text(root / "train_labels.csv", csv_text())
    put_text(root / "val_labels.csv", csv_text(VAL))


def tf_csv_in_folders(root: Path) -> None:
    images(root / "images" / "train")
    images(root / "images" / "holiday" / "2019", VAL)
    put_text(root / "data" / "train_labels.csv", csv_text().replace("\n", "\r\n"))
    put_text(root / "data" / "valid_labels.csv", "\ufeff" + csv_text(VAL))


def label_studio_coco(root: Path) -> None:
    images(root / "images", before="0a1b2c3d-")
    put_json(root / "result.json", coco(called="images\\0a1b2c3d-{}.jpg"))


def label_studio_coco_local(root: Path) -> None:
    images(root / "images")
    put_json(root / "result.json", coco(called="/data/local-files/?d=photos%5Cimages%5C{}.jpg"))


def label_studio_coco_upload(root: Path) -> None:
    images(root / "images")
    put_json(root / "result.json", coco(called="/data/upload/1/0a1b2c3d-{}.jpg"))


def label_studio_yolo(root: Path) -> None:
    images(root / "images")
    labels(root / "labels")
    put_text(root / "classes.txt", "cat\ndog\n")
    put_json(root / "notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": {"version": "1.0"}})


def label_studio_voc(root: Path) -> None:
    images(root / "images")
    voc(root / "Annotations")


def _percent(name: str) -> dict[str, Any]:
    x1, y1, x2, y2 = OBJECTS[name]
    box = {"x": x1 * 2.5, "y": y1 * 5, "width": (x2 - x1) * 2.5, "height": (y2 - y1) * 5, "rotation": 0}
    return {**box, "rectanglelabels": [name]}


_SIZE = {"original_width": WIDTH, "original_height": HEIGHT}


def label_studio_json(root: Path) -> None:
    images(root / "images")
    result = [{"type": "rectanglelabels", **_SIZE, "value": _percent(name)} for name in OBJECTS]
    task = {"annotations": [{"was_cancelled": True, "result": []}, {"result": result}], "predictions": []}
    content = [task | {"data": {"image": f"/data/upload/3/0a1b2c3d-{name}.jpg"}} for name in TRAIN]
    put_json(root / "project-1-at-2024.json", content)


def label_studio_min(root: Path) -> None:
    images(root / "images")
    regions = [{**_SIZE, **_percent(name)} for name in OBJECTS]
    put_json(root / "export.json", [{"image": f"images\\{name}.jpg", "id": 1, "label": regions} for name in TRAIN])


def label_studio_csv(root: Path) -> None:
    images(root / "images")
    regions = json.dumps([{**_SIZE, **_percent(name)} for name in OBJECTS]).replace('"', '""')
    rows = "".join(f'/data/upload/3/{name}.jpg,1,"{regions}",1,2\n' for name in TRAIN)
    put_text(root / "export.csv", f"image,id,label,annotator,annotation_id\n{rows}")


def cvat_yolo(root: Path) -> None:
    images(root / "obj_train_data" / "deep")
    labels(root / "obj_train_data" / "deep")
    put_text(root / "obj.names", "cat\ndog\n")
    put_text(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    put_text(root / "train.txt", "".join(f"data/obj_train_data/deep/{name}.jpg\n" for name in TRAIN))


def cvat_ultralytics(root: Path) -> None:
    for split, names in (("train", TRAIN), ("val", VAL)):
        images(root / "images" / split, names)
        labels(root / "labels" / split, names)
        put_text(root / f"{split}.txt", "".join(f"data/images/{split}/{name}.jpg\n" for name in names))
    put_text(root / "data.yaml", "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: val.txt\n")


def cvat_yolo_without_images(root: Path) -> None:
    cvat_yolo(root)
    (root / "obj_train_data" / "deep").rename(root / "kept")
    labels(root / "obj_train_data" / "deep")
    for label in (root / "kept").glob("*.txt"):
        label.unlink()
    (root / "kept").rename(root / "images")


def cvat_ultralytics_without_images(root: Path) -> None:
    labels(root / "labels" / "train")
    images(root / "images")
    put_text(root / "train.txt", "".join(f"data/images/train/{name}.jpg\n" for name in TRAIN))
    put_text(root / "data.yaml", "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n")


def cvat_coco(root: Path) -> None:
    images(root / "images" / "default")
    put_json(root / "annotations" / "instances_default.json", coco())


def cvat_voc(root: Path) -> None:
    images(root / "JPEGImages" / "deep")
    voc(root / "Annotations" / "deep")
    put_text(root / "ImageSets" / "Main" / "default.txt", "deep/x1\ndeep/x2\n")
    put_text(root / "labelmap.txt", "# label:color_rgb:parts:actions\ncat:0,0,0::\n")


def cvat_images(root: Path) -> None:
    images(root / "images")
    x1, y1, x2, y2 = OBJECTS["cat"]
    cat = f'<box label="cat" occluded="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" z_order="0"/>'
    dog = '<polygon label="dog" points="10.0,5.0;30.0,5.0;30.0,15.0"/>'
    elements = "".join(f'<image id="1" name="{name}.jpg" width="40" height="20">{cat}{dog}</image>' for name in TRAIN)
    put_text(root / "annotations.xml", f"<annotations><version>1.1</version><meta/>{elements}</annotations>")


def darknet_voc(root: Path) -> None:
    for split, names in (("train", TRAIN), ("test", VAL)):
        images(root / "VOCdevkit" / "VOC2007" / "JPEGImages", names)
        labels(root / "VOCdevkit" / "VOC2007" / "labels", names)
        folder = "/home/me/darknet/VOCdevkit/VOC2007/JPEGImages"
        put_text(root / f"2007_{split}.txt", "# mine\n" + "".join(f"{folder}/{name}.jpg\n" for name in names))
    put_text(root / "voc.names", "cat\ndog\n# no more\n")
    text = "classes= 2\ntrain  = /home/me/2007_train.txt\nvalid  = /home/me/2007_test.txt\nnames = data/voc.names\n"
    put_text(root / "voc.data", text)


def _splits(root: Path, put: Callable[[Path, Sequence[str]], Any], *, inside: str = "") -> None:
    for split, names in (("train", TRAIN), ("valid", VAL)):
        images(root / split / inside, names)
        put(root / split, names)


def roboflow_yolo(root: Path) -> None:
    _splits(root, lambda folder, names: labels(folder / "labels", names), inside="images")
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n"
    images(root / "test" / "images", VAL)
    labels(root / "test" / "labels", VAL)
    put_text(root / "data.yaml", f"{text}\nroboflow:\n  workspace: x\n  version: 1\n")
    put_text(root / "README.roboflow.txt", "pets\n")


def roboflow_coco(root: Path) -> None:
    _splits(root, lambda folder, names: put_json(folder / "_annotations.coco.json", coco(names, root=True)))


def roboflow_voc(root: Path) -> None:
    _splits(root, voc)


def roboflow_csv(root: Path) -> None:
    _splits(root, lambda folder, names: put_text(folder / "_annotations.csv", csv_text(names)))


def _createml(names: Sequence[str]) -> list[dict[str, Any]]:
    boxes = {
        label: {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1}
        for label, (x1, y1, x2, y2) in OBJECTS.items()
    }
    objects = [{"label": label, "coordinates": box} for label, box in boxes.items()]
    return [{"image": f"{name}.jpg", "annotations": objects} for name in names]


def roboflow_createml(root: Path) -> None:
    _splits(root, lambda folder, names: put_json(folder / "_annotations.createml.json", _createml(names)))


def labelimg_createml(root: Path) -> None:
    images(root)
    put_json(root / "pets.json", _createml(TRAIN))


def labelimg_voc(root: Path) -> None:
    images(root)
    voc(root)


def labelimg_yolo(root: Path) -> None:
    images(root)
    labels(root)
    put_text(root / "classes.txt", "cat\ndog\n")


def fiftyone_yolo(root: Path) -> None:
    for split, names in (("train", TRAIN), ("val", VAL)):
        images(root / "images" / split, names)
        labels(root / "labels" / split, names)
    put_text(
        root / "dataset.yaml",
        f"path: /home/me/{root.name}\ntrain: ./images/train/\nval: ./images/val/\nnames:\n  0: cat\n  1: dog\n",
    )


def fiftyone_yolo_moved(root: Path) -> None:
    fiftyone_yolo(root)
    text = (root / "dataset.yaml").read_text(encoding="utf-8")
    put_text(root / "dataset.yaml", text.replace(root.name, "export/pets"))


def fiftyone_yolov4(root: Path) -> None:
    images(root / "data")
    labels(root / "data")
    put_text(root / "obj.names", "cat\ndog\n")
    put_text(root / "images.txt", "data/x1.jpg\ndata/x2.jpg\n")


def fiftyone_coco(root: Path) -> None:
    images(root / "data")
    put_json(root / "labels.json", coco())


def fiftyone_voc(root: Path) -> None:
    images(root / "data")
    voc(root / "labels")


def fiftyone_csv(root: Path) -> None:
    images(root / "data")
    put_text(root / "labels.csv", csv_text())


def _via_regions() -> list[dict[str, Any]]:
    boxes = {label: (x1, y1, x2 - x1, y2 - y1) for label, (x1, y1, x2, y2) in OBJECTS.items()}
    return [
        {
            "shape_attributes": {"name": "rect", **dict(zip(("x", "y", "width", "height"), box, strict=True))},
            "region_attributes": {"Class": label, "note": "far"},
        }
        for label, box in boxes.items()
    ]


def via_json(root: Path) -> None:
    images(root)
    content = {f"{name}.jpg123": {"filename": f"{name}.jpg", "size": 1, "regions": _via_regions()} for name in TRAIN}
    put_json(root / "via_region_data.json", content)


def via_project(root: Path) -> None:
    images(root / "images")
    regions = {str(place): region for place, region in enumerate(_via_regions())}
    content = {f"{name}.jpg1": {"filename": f"{name}.jpg", "regions": regions} for name in TRAIN}
    put_json(root / "via_project.json", {"_via_settings": {}, "_via_img_metadata": content})


def via_csv(root: Path) -> None:
    images(root)
    rows = [
        [f"{name}.jpg", "1", "{}", "2", str(place), *(json.dumps(region[key]) for key in region)]
        for name in TRAIN
        for place, region in enumerate(_via_regions())
    ]
    quoted = ("".join('"{}",'.format(cell.replace('"', '""')) for cell in row)[:-1] for row in rows)
    head = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    put_text(root / "via_export.csv", "\n".join([head, *quoted, ""]))


def labelme(root: Path) -> None:
    images(root)
    shapes = [
        {"label": name, "points": [list(box[:2]), list(box[2:])], "shape_type": "rectangle"}
        for name, box in OBJECTS.items()
    ]
    for name in TRAIN:
        content = {"version": "5.4.1", "shapes": shapes, "imagePath": f"..\\old\\{name}.jpg", "imageData": None}
        put_json(root / f"{name}.json", content | {"imageHeight": HEIGHT, "imageWidth": WIDTH})


# of which the folder is given, and of which the file itself can be
FOLDERS: dict[str, Callable[[Path], None]] = {
    build.__name__: build
    for build in (
        *(tf_csv, tf_csv_in_folders, label_studio_coco, label_studio_coco_local, label_studio_coco_upload),
        *(label_studio_yolo, label_studio_voc, label_studio_json, label_studio_min, label_studio_csv, cvat_yolo),
        *(cvat_ultralytics, cvat_coco, cvat_voc, cvat_images, darknet_voc, roboflow_yolo, roboflow_coco, roboflow_voc),
        *(
            roboflow_csv,
            roboflow_createml,
            labelimg_createml,
            labelimg_voc,
            labelimg_yolo,
            fiftyone_yolo,
            fiftyone_yolov4,
        ),
        *(fiftyone_coco, fiftyone_voc, fiftyone_csv, via_json, via_project, via_csv, labelme),
    )
}
FILES: dict[str, str] = {
    "tf_csv": "train_labels.csv",
    "label_studio_coco": "result.json",
    "label_studio_json": "project-1-at-2024.json",
    "label_studio_csv": "export.csv",
    "cvat_yolo": "obj.data",
    "cvat_coco": "annotations/instances_default.json",
    "cvat_images": "annotations.xml",
    "darknet_voc": "2007_train.txt",
    "labelimg_createml": "pets.json",
    "via_json": "via_region_data.json",
    "via_csv": "via_export.csv",
}
