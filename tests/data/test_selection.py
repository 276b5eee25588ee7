from pathlib import Path
from typing import Literal, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from yolo.data.account import DataAccount
from yolo.data.layouts import SplitSource
from yolo.data.selection import held_out_ids, once, only_listed, select, unique_ids


class _Listed(NamedTuple):
    image_id: str
    image: str = ""


@given(st.sets(st.text(max_size=5), max_size=60))
def test_a_fifth_is_held_out_whatever_the_order(ids: set[str]) -> None:
    held_out = held_out_ids(ids)
    assert held_out == held_out_ids(sorted(ids, reverse=True))
    assert held_out <= ids
    if len(ids) < 2:
        assert not held_out
    else:
        assert 1 <= len(held_out) < len(ids)
        assert abs(len(held_out) - len(ids) / 5) <= 0.6


def test_adding_images_hardly_moves_others() -> None:
    ids = [f"image{number}" for number in range(1000)]
    before, after = held_out_ids(ids), held_out_ids([*ids, *(f"new{number}" for number in range(100))])
    assert len(before) == 200
    assert len(before - after) <= 5


def _pick(part: Literal["all", "remaining", "held_out"], listing: dict[str, list[str]]) -> list[str]:
    sources = [SplitSource(Path(name), "yolo", part=part) for name in listing]
    chosen = select(sources, lambda source: [_Listed(image_id) for image_id in listing[str(source.path)]])
    return [entry.image_id for entries in chosen for entry in entries]


def test_parts_are_disjoint_and_whole_even_for_images_in_two_lists() -> None:
    listing = {"a": [str(n) for n in range(20)], "b": [str(n) for n in range(10, 40)]}
    remaining, held_out = _pick("remaining", listing), _pick("held_out", listing)
    assert not set(remaining) & set(held_out)
    assert len(set(held_out)) == 8
    assert sorted(remaining + held_out) == sorted(listing["a"] + listing["b"])
    assert _pick("all", listing) == listing["a"] + listing["b"]


def test_an_image_listed_twice_is_read_once_and_counted() -> None:
    account = DataAccount("train")
    first, second = [_Listed("a"), _Listed("b"), _Listed("a")], [_Listed("b"), _Listed("b", "elsewhere")]
    assert once([first, second], account) == [first[:2], second[1:]]
    assert account.images_dropped == {"image_listed_twice": 2}


def test_images_of_one_name_get_their_paths_as_ids() -> None:
    paths = ["/root/a/1.jpg", "/root/b/1.jpg", "/root/b/2.jpg", "/elsewhere/1.jpg", "/root/a/1.jpg"]
    ids = unique_ids(["1", "1", "2", "1", "1"], paths, Path("/root"))
    assert ids == ["a/1.jpg", "b/1.jpg", "2", "/elsewhere/1.jpg", "a/1.jpg#2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["/r/a", "/r/a#2", "/x"])), max_size=12))
def test_ids_are_unique_whatever_the_names(rows: list[tuple[str, str]]) -> None:
    ids = unique_ids([image_id for image_id, _ in rows], [path for _, path in rows], Path("/r"))
    assert len(set(ids)) == len(rows)


def test_only_the_images_of_a_list_are_taken_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    entries = [_Listed(name, f"{tmp_path}/images/{name}.jpg") for name in "abc"]
    only = tmp_path / "lists" / "some.txt"
    only.parent.mkdir()
    only.write_text(f"../images/c.jpg\n\n{tmp_path}/images/../images/a.jpg\nnot there.jpg\n")
    account = DataAccount("train")
    assert only_listed(entries, only, account) == [entries[0], entries[2]]
    assert account.images_dropped == {"image_missing": 1}
    assert "line 4 of" in account.issues[0].message
