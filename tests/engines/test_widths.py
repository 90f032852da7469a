"""How wide forwards are, and which widths agree."""

from __future__ import annotations

import json

import pytest

from nbtool.engines.local.classes import Classes
from nbtool.engines.local.widths import LADDER, LARGEST, LOSS, ONE, START, Widths

KEY = ("unet",)


def settle(widths, seconds, used=lambda rows: 0, free=100, **options):
    """Lets widths measure forwards that take `seconds(rows)` until they are settled."""
    for _ in range(100):
        width = widths.of(KEY)
        if width.settled:
            return width.rows
        wider = width.wider(options.get("refused", ())) or width.rows
        tried = len(width.paces[wider]) < len(width.paces[width.rows])
        rows = wider if tried else width.rows
        widths.measured(KEY, rows, seconds(rows), (used(rows), free), **options)
    raise AssertionError("never settled")


def test_the_width_grows_while_rows_get_cheaper():
    assert settle(Widths(), lambda rows: 8 + rows) == LARGEST
    assert settle(Widths(), lambda rows: rows) == ONE  # nothing to gain
    assert settle(Widths(), lambda rows: max(8, rows)) == 8
    assert settle(Widths(), lambda rows: rows**1.1, least=LOSS) == LARGEST  # a little dearer
    assert settle(Widths(), lambda rows: max(8, rows**1.3), least=LOSS) == 8


def test_images_are_made_one_by_one_where_batches_bring_little():
    assert settle(Widths(), lambda rows: rows + 0.12) == ONE  # 5 % altogether
    assert settle(Widths(), lambda rows: rows + 0.6) > ONE  # 30 %


def test_a_quick_image_is_not_followed_step_by_step():
    widths = Widths()
    for _ in range(2):
        widths.measured(KEY, ONE, 0.01, (0, 100), least=LOSS)
    assert widths.of(KEY).rows == START
    refused = Widths()
    for _ in range(2):
        refused.measured(KEY, ONE, 0.01, (0, 100), least=LOSS, refused={16, 32, 64})
    assert refused.of(KEY).rows == 20


def test_widths_that_cannot_be_used_are_not_tried():
    tried = set()

    def seconds(rows):
        tried.add(rows)
        return 8 + rows

    assert settle(Widths(), seconds, refused={4, 16, 32, 64}) == 48
    assert not tried & {4, 16, 32, 64}


def test_the_first_forward_of_its_kind_does_not_decide():
    seen = set()

    def seconds(rows):
        first = rows not in seen
        seen.add(rows)
        return max(16, rows) * (9 if first else 1)

    assert settle(Widths(), seconds) == 16


def test_disturbances_do_not_decide():
    disturbed = iter([1, 9, 9, 1, 1, 3] * 2 + [9] * 4)
    assert settle(Widths(), lambda rows: max(16, rows) * next(disturbed, 1)) == 16


def test_the_width_leaves_memory_free():
    assert settle(Widths(), lambda rows: 8 + rows, used=lambda rows: 10 * rows) == 8


def test_want_of_memory_narrows_the_width_for_good():
    widths = Widths()
    settle(widths, lambda rows: 8 + rows)
    widths.too_wide(KEY, LARGEST)
    widths.measured(KEY, 60, 0.0, (0, 100))
    assert widths.of(KEY).rows == widths.of(KEY).limit == 60
    for _ in LADDER:
        widths.too_wide(KEY, widths.of(KEY).rows)
    assert widths.of(KEY).rows == 1


@pytest.fixture
def classes(tmp_path):
    return Classes(lambda: tmp_path / "cache" / "widths.json")


def find_out(classes, kernels, wanted=LADDER, key="unet"):
    """Compares widths whose kernel is `kernels(width)`; how many forwards that took."""
    row, forwards = {}, 0
    while widths := [w for wish in wanted if (w := classes.next(key, row, wish)) is not None]:
        width = widths[0]
        forwards += 1
        kernel = kernels(width)
        if kernel is None:
            classes.refuse(key, width)
        else:
            row[width] = kernel
            classes.put(key, row)
    return forwards


def kernel_of(width):
    """As on a processor with two threads: one alone, two alone, odd ones by place."""
    if width in (6, 10):
        return None
    return b"1" if width == 1 else b"2" if width == 2 else b"many"


def test_what_was_not_compared_agrees_with_itself_alone(classes):
    assert classes.members("unet", 16) == [16]
    assert list(classes.sound("unet")) == [1]


def test_widths_whose_rows_are_equal_are_a_class(classes):
    assert find_out(classes, kernel_of) == len(LADDER)
    assert classes.members("unet", 48) == [w for w in LADDER if kernel_of(w) == b"many"]
    assert classes.members("unet", 2) == [2]
    assert set(classes.unsound("unet")) == {6, 10}
    assert not {6, 10} & set(classes.sound("unet"))
    assert find_out(classes, kernel_of) == 0
    assert classes.members("vae", 48) == [48]  # another network


def test_classes_are_kept_and_another_row_goes_on_where_the_first_ended(classes, tmp_path):
    find_out(classes, kernel_of, wanted=(1, 2, 16, 6))
    classes.settle("unet", 16)
    classes.save()
    later = Classes(lambda: tmp_path / "cache" / "widths.json")
    assert later.members("unet", 16) == [16]
    assert (later.best("unet"), set(later.unsound("unet"))) == (16, {6})
    # A width more: it, and one of each class that is known, by the row that is at hand now.
    assert find_out(later, lambda width: kernel_of(width) and kernel_of(width) + b"'", (4,)) == 4
    assert later.members("unet", 4) == [4, 16]


def test_what_others_found_out_meanwhile_stays_in_the_file(classes, tmp_path):
    file = tmp_path / "cache" / "widths.json"
    other = Classes(lambda: file)
    find_out(classes, kernel_of)
    find_out(other, kernel_of, key="vae")
    classes.save()
    other.save()
    kept = json.loads(file.read_text())
    kept["vae"]["of a newer version"] = 7
    file.write_text(json.dumps(kept))
    other.settle("vae", 4)
    other.save()
    kept = json.loads(file.read_text())
    assert kept["unet"]["classes"]
    assert kept["vae"]["of a newer version"] == 7
    assert kept["vae"]["best"] == 4


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "nonsense", "[" * 200_000, '{"unet": 5}', '{"unet": {"classes": 7, "unsound": {}, "best": "x"}}',
        '{"unet": {"classes": [[3, true, 1e9, -4], "ab", null]}}', "\udcff",
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_says_nothing(classes, tmp_path, text):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "widths.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert classes.members("unet", 4) == [4]
    assert classes.best("unet") is None
    find_out(classes, kernel_of)
    classes.save()
    assert classes.members("unet", 4)[-1] == 64


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    classes = Classes(lambda: tmp_path / "cache" / "widths.json")
    find_out(classes, kernel_of)
    classes.save()
    assert classes.members("unet", 4)[0] == 4
