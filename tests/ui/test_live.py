"""A grid fills while the cell that makes it runs."""

from __future__ import annotations

from playwright.sync_api import expect

CELLS = [
    "import nbtool\ngen = nbtool.Generator(device='cpu', num_inference_steps=12)",
    "grid = gen.grid('a large red star on a blue background', seed=range(40))\ngrid",
    "gen.grid('a large red star on a blue background', seed=range(40)).shape",
]


def test_a_grid_fills_while_its_cell_runs_and_leaves_the_table(lab):
    notebook = lab.notebook(CELLS)
    notebook.run(0)
    view = notebook.output(1).locator(".nbtool-view")
    with notebook.held():
        notebook.run(1, wait=False)
        expect(view.locator("img").nth(3)).to_be_visible()
    expect(view).to_have_count(0)  # done
    expect(notebook.output(1).filter(has_text="40 images").first).to_be_visible()
    expect(notebook.output(1).locator(".nbtool-grid img")).to_have_count(40)
    notebook.run(2)
    expect(notebook.output(2).first).to_contain_text("40 already in the store")
    assert not notebook.errors
