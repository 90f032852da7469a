"""Every image is the same again, to the bit, whatever is made beside it."""

from __future__ import annotations

import math
import random
import threading

import pytest
import tiny
import torch
from together import Together, one, with_scheduler

import nbtool
from nbtool.engines.local import comparing
from nbtool.engines.local.questions import Making
from nbtool.engines.local.worker import worker

SIZES = ({"height": 64, "width": 64}, {"height": 72, "width": 56})
SCHEDULERS = ("ddim", "euler_a", "dpm++2m", "unipc")
# What is added to each row, by the width of the forward; other widths have one of their own.
AS_ON_TWO_THREADS = {1: 1, 2: 2, **dict.fromkeys((4, 6, 8, 10, 12, 16, 24, 32, 48, 64), 3)}
ODD_ONES_TOO = {1: 1, 2: 2, 3: 2, 5: 2, 4: 3, 6: 3, 9: 3, 16: 3, 24: 4, 32: 3, 48: 4, 64: 4}
TABLES = {
    "as on two threads": (AS_ON_TWO_THREADS, ()),
    "some by place": (AS_ON_TWO_THREADS, (6, 10, 64)),
    "even two by place": (AS_ON_TWO_THREADS, (2, 4, 8, 16, 32, 64)),
    "odd members": (ODD_ONES_TOO, ()),
    "none agrees": ({}, ()),
    "none agrees, most by place": ({}, (2, 4, 8, 16, 32)),
    "nothing is sound": ({}, tuple(range(2, 65))),
}


def by_the_table(pipeline, kernels, by_place):
    """Makes the rows of a pipeline's networks depend on the width, and at some on their place."""

    def shifted(output):
        width = len(output)
        by = torch.full((width,), float(kernels.get(width, 100 + width)))
        if width in by_place:
            by = by + torch.arange(width) / 7
        return output + 1e-3 * by.reshape(-1, *[1] * (output.ndim - 1))

    forward, decode = pipeline.unet.forward, pipeline.vae.decode
    pipeline.unet.forward = lambda *args, **kwargs: (shifted(forward(*args, **kwargs)[0]),)
    pipeline.vae.decode = lambda *args, **kwargs: (shifted(decode(*args, **kwargs)[0]),)


class Mixture:
    """Images of random settings that come and go in a forwards, and each of them again."""

    def __init__(self, pipeline, luck, *, options=SCHEDULERS):
        self.pipeline, self.luck, self.options = pipeline, luck, options
        self.made = []  # what was asked, how it was made, and what came of it

    def settings(self):
        luck = self.luck
        return luck.choice(self.options), {
            "prompt": luck.choice(("a", "b")), "guidance_scale": luck.choice((1, 1, 3, 7)),
            "num_inference_steps": luck.randint(1, 4), "seed": luck.randint(0, 3),
            **luck.choice(SIZES),
        }  # fmt: skip

    def make(self, together, count):
        """Makes images; some are left, some go ahead, widths are compared now and then."""
        forwards, luck = together.forwards, self.luck
        waiting = [self.settings() for _ in range(count)]
        with torch.no_grad():
            while waiting or forwards.makings:
                while waiting and len(forwards.makings) < 12 and luck.random() < 0.7:
                    forwards.start(self._cell(together, waiting.pop(), {}))
                forwards.tick()
                if forwards.makings and luck.random() < 0.03:
                    forwards.stop(luck.choice(forwards.makings))
                if luck.random() < 0.3:
                    forwards.compare()

    def again(self, together, settings, past):
        """One image by itself."""
        with torch.no_grad():
            before = len(self.made)
            together.forwards.start(self._cell(together, settings, past))
            while together.forwards.makings:
                together.forwards.tick()
        return self.made.pop(before)[2]

    def _cell(self, together, settings, past):
        scheduler, kwargs = settings
        adopted = together.forwards.adopt(with_scheduler(self.pipeline, scheduler))

        def done(making, outcome):
            if outcome.error is None:
                self.made.append((settings, together.forwards.made_at(making), outcome.value))

        return Making(
            work=lambda: one(adopted, kwargs), done=done, past=past,
            priority=self.luck.choice((0, 0, 1)), size=(kwargs["height"], kwargs["width"]),
        )  # fmt: skip


@pytest.fixture(autouse=True)
def plenty_of_time(monkeypatch, tmp_path):
    """Widths are compared whenever a test wants it; what other tests found out is not known."""
    monkeypatch.setattr(comparing, "SHARE", math.inf)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def check(mixture, count):
    """Makes a mixture twice in one forwards, and each image again in that forwards and in a new one."""
    together = Together()
    mixture.make(together, count)
    mixture.make(together, count)
    assert len(mixture.made) > count
    made = mixture.luck.sample(mixture.made, min(8, len(mixture.made)))
    for settings, widths, image in made:
        for forwards in (together, Together()):
            assert mixture.again(forwards, settings, widths).tobytes() == image.tobytes(), settings


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("seed", range(2))
def test_in_any_mixture_each_image_is_as_it_is_alone(table, seed):
    pipeline = tiny.stable_diffusion()
    pipeline.set_progress_bar_config(disable=True)
    by_the_table(pipeline, *TABLES[table])
    check(Mixture(pipeline, random.Random(seed)), 16)


def test_where_the_place_matters_images_share_no_row():
    pipeline = tiny.stable_diffusion()
    pipeline.set_progress_bar_config(disable=True)
    by_the_table(pipeline, {}, (2,))
    calls = [
        (with_scheduler(pipeline, "ddim"),
         {"prompt": prompt, "guidance_scale": 4, "num_inference_steps": 2, "seed": 1, **SIZES[0]})
        for prompt in "ab"
    ]  # fmt: skip
    together = Together().images(calls)  # without a prompt both ask the same
    for image, call in zip(together, calls, strict=True):
        assert image.tobytes() == Together().images([call])[0].tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["stable_diffusion", "flux", "stable_diffusion_xl"])
def test_real_networks_too(name, dtype):
    pipeline = getattr(tiny, name)().to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    options = (None,) if name == "flux" else SCHEDULERS
    check(Mixture(pipeline, random.Random(1), options=options), 12)


SMALL = {"width": 64, "height": 64, "num_inference_steps": 3}


@pytest.fixture
def gen(tmp_path, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    return nbtool.Generator(store=tmp_path / "images", device="cpu", **SMALL)


@pytest.fixture
def elsewhere(gen, tmp_path):
    """Makes a generator with a store of its own."""
    folders = iter(range(100))

    def make(**options):
        options = {"device": "cpu", **SMALL, **options}
        return nbtool.Generator(store=tmp_path / f"elsewhere{next(folders)}", **options)

    return make


def test_jobs_side_by_side_change_no_bit(gen, elsewhere):
    luck = random.Random(5)
    for _ in range(3):
        sweep = gen.submit(
            "a red star", seed=luck.sample(range(50), 6), guidance_scale=[1, 4],
            scheduler=luck.sample(["ddim", "euler_a", "lms", "heun"], 2),
            size=nbtool.paired(width=[64, 96], height=[64, 80]), num_inference_steps=4,
        )  # fmt: skip
        other = elsewhere().submit("a blue ring", seed=luck.sample(range(50), 4))
        images = [gen("a green square", seed=luck.randrange(1000))]
        sweep.cancel(seed=luck.choice(sweep.grid.axes["seed"]))
        images += [*other.wait(), *sweep.wait()]
        assert len(images) > 30
        for image in luck.sample(images, 6):
            again = elsewhere()(nbtool.Recipe.from_file(image.path))
            assert again.image.tobytes() == image.image.tobytes()
    together = [image for image in images if image.provenance.batch_width > 2]
    assert together
    nbtool.unload()  # and with it what is known of the pace
    again = elsewhere().grid([image.recipe for image in together])
    assert [a.image.tobytes() for a in again] == [b.image.tobytes() for b in together]


def test_made_again_an_image_takes_the_smallest_width_of_its_class(gen, elsewhere):
    image = gen.grid("a red star", seed=range(8), guidance_scale=4).isel(seed=3)
    network = worker.forwards  # what was computed for it
    network.rows.clear()
    again = elsewhere()(image.recipe)
    assert again.image.tobytes() == image.image.tobytes()
    assert again.provenance.widths == image.provenance.widths
    assert again.provenance.batch_width == max(2, image.provenance.widths["unet"])
    assert again.provenance.batch_width < image.provenance.batch_width


def test_one_image_by_itself_computes_no_row_too_many(gen):
    worker.forwards.padding.clear()
    assert gen("a red star", seed=1, guidance_scale=4).provenance.batch_width == 2
    assert gen("a red star", seed=1, guidance_scale=1).provenance.batch_width == 1
    assert not worker.forwards.padding.total()


def test_a_recipe_takes_its_past_along_until_it_is_changed(gen, elsewhere):
    image = gen("a red star", seed=1)
    past = image.provenance.widths
    assert set(past) == {"unet", "vae.decode"}
    for recipe in (
        image.recipe, nbtool.Recipe.from_file(image.path), gen.store[image.recipe.key].recipe,
        gen("a red star", seed=1).recipe, image.recipe.replace(seed=1), image.recipe.replace(),
        elsewhere().grid(image.recipe, seed=[0, 1, 2]).sel(seed=1).recipe,
        elsewhere().grid([image.recipe, image.recipe.replace(seed=8)])[0].recipe,
    ):  # fmt: skip
        assert recipe.past == past
    plain = nbtool.Recipe.from_dict(image.recipe.to_dict())
    assert plain == image.recipe
    assert plain.key == image.recipe.key
    assert hash(plain) == hash(image.recipe)
    for recipe in (
        plain,
        image.recipe.replace(seed=2),
        image.recipe.replace(seed=2).replace(seed=1),
    ):
        assert recipe.past == {}
    assert nbtool.Recipe.from_file(image.save(gen.store.path / "copy.jpg")).past == past


@pytest.mark.parametrize(
    "widths",
    [
        7, [], {"unet": -1}, {"unet": 10**9}, {"unet": "many"}, {"unet": True}, {7: 4},
        {"unet": 5, "vae.decode": 999}, {f"n{i}": 4 for i in range(99)}, {"other": 4},
    ],
)  # fmt: skip
def test_a_past_that_makes_no_sense_is_none(gen, elsewhere, widths):
    image = gen("a red star", seed=1)
    past = nbtool.Provenance.from_dict({"widths": widths if isinstance(widths, dict) else {}})
    assert all(0 < width <= 1024 for width in past.widths.values())
    again = elsewhere()(nbtool.Recipe.from_dict(image.recipe.to_dict()).with_past(past.widths))
    assert again.provenance.batch_width == 2


def test_the_first_of_two_requests_for_one_image_decides(gen, elsewhere):
    image = gen.grid("a red star", seed=range(8), guidance_scale=4).isel(seed=3)
    plain = nbtool.Recipe.from_dict(image.recipe.to_dict())
    long = {"num_inference_steps": 40, "seed": range(90, 94)}
    first, second = elsewhere(), elsewhere()
    busy = elsewhere().submit("a blue ring", **long)  # so that both are in the making at once
    jobs = first.submit(image.recipe), second.submit(plain)
    made = [job.wait().isel() for job in jobs]
    busy.wait()
    assert made[0].image.tobytes() == made[1].image.tobytes() == image.image.tobytes()


def test_a_cell_that_somebody_asked_for_meanwhile_is_the_same(gen, held):
    """Though the image is finished and gone before the sweep comes to it."""
    sweep = gen.submit("a red star", seed=range(40), guidance_scale=4)
    made = []
    asking = threading.Thread(
        target=lambda: made.append(gen("a red star", seed=39, guidance_scale=4))
    )
    asking.start()
    with worker._changed:
        worker._changed.wait_for(lambda: len(worker._runs) == 2)
    held.set()
    asking.join()
    first = made[0].image.tobytes()
    assert sweep.wait().sel(seed=39).image.tobytes() == first


def test_exact_does_not_follow_what_is_not(gen, elsewhere, held):
    settings = {"seed": 3, "guidance_scale": 4, "num_inference_steps": 6}
    sweep = gen.submit("a red star", **settings)
    exact = elsewhere(exact=True).submit("a red star", **settings)
    held.set()
    together = exact.wait().isel()
    sweep.wait()
    alone = elsewhere(exact=True)("a red star", **settings)
    assert together.image.tobytes() == alone.image.tobytes()
    assert together.provenance.widths == alone.provenance.widths
    plain = gen("a red star", seed=9, guidance_scale=4)
    again = elsewhere(exact=True)(plain.recipe)
    assert (
        again.image.tobytes() == plain.image.tobytes()
    )  # it was made before, and is made so again
    assert not again.provenance.exact


def test_exact_images_are_the_same_however_they_are_asked_for(elsewhere):
    alone = elsewhere(exact=True)("a red star", seed=3, guidance_scale=4)
    grid = elsewhere(exact=True).grid("a red star", seed=range(6), guidance_scale=[1, 4])
    assert grid.sel(seed=3, guidance_scale=4).image.tobytes() == alone.image.tobytes()
    again = elsewhere()(alone.recipe)
    assert again.image.tobytes() == alone.image.tobytes()


def test_what_no_longer_fits_begins_again_in_a_class_that_does(gen, elsewhere, embedded):
    image = gen.grid("a red star", seed=range(16), guidance_scale=4).isel(seed=3)
    assert image.provenance.batch_width > 8

    def refuse(module, args, kwargs):
        if len(args[0]) > 2:
            torch.empty(2**50, dtype=torch.uint8)

    handle = embedded.unet.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        again = elsewhere()(image.recipe)
    finally:
        handle.remove()
        nbtool.unload()  # what was found out about the memory
    assert again.provenance.widths["unet"] <= 2
    assert again.provenance.batch_width <= 2
    once_more = elsewhere()(again.recipe)
    assert once_more.image.tobytes() == again.image.tobytes()
