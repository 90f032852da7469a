"""What is left of a notebook without its kernel: nbconvert's HTML, in a browser."""

from __future__ import annotations

import os

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

HOSTILE = "a red star <img src=x onerror=window.hacked=1></script><script>window.hacked=2</script>"
CELLS = [
    "import nbtool\ngen = nbtool.Generator(num_inference_steps=2, width=64, height=64, device='cpu')",
    f"grid = gen.grid({HOSTILE!r}, seed=range(3))\ngrid",
    "grid.view()",
    "gen.panel()",
    "grid[0]",
]


def test_nbconvert_shows_the_pictures_and_leaves_prompts_text(chromium, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    environment = os.environ | {"NBTOOL_PROGRESS": "plain", "IPYTHONDIR": str(tmp_path / "ipython")}
    NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        startup_timeout=600,
        store_widget_state=False,  # as JupyterLab saves it
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute(env=environment)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page = chromium.new_page()
    requests = []
    page.route("**/*", lambda route: (requests.append(route.request.url), route.abort()))
    page.set_content(html, wait_until="domcontentloaded")
    outputs = page.locator(".jp-OutputArea-output")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    shown = page.evaluate("[...document.images].filter(i => i.naturalWidth > 0).length")
    assert shown == 3 + 3 + 3 + 1
    assert page.evaluate("window.hacked") is None
    assert not [url for url in requests if url.endswith("/x")]
    assert sum("<img src=x onerror" in text for text in outputs.all_inner_texts()) >= 3
    page.close()
