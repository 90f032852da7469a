"""A real JupyterLab with real kernels, driven through a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Error, Locator, Page, expect

SECONDS = 180  # that anything may take on a busy machine
NEWER_KERNEL, OLDER_KERNEL = "python3", "ipykernel6"
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight exist too
    "docmanager-extension/plugin": {"autosave": False},
}
# Leaves nothing in a kernel but the modules and the model that it has loaded.
_CLEAR = """
if "nbtool" in __import__("sys").modules:
    __import__("nbtool").cancel()
if "ipywidgets" in __import__("sys").modules:
    __import__("ipywidgets").Widget.close_all()
get_ipython().reset()
"""
# The kernel's name and the session's id, once code has run there; null if it cannot.
_LEAVE = """async ([code, seconds]) => {
  const { id, kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  const done = kernel.requestExecute({ code, silent: true }).done;
  const late = new Promise(resolve => setTimeout(resolve, 1000 * seconds));
  const reply = await Promise.race([done, late]);
  return reply?.content.status === "ok" ? [kernel.name, id] : null;
}"""
# The thread that makes images waits as soon as the first few of them are made.
_HOLD = """
def hold(released):
    import functools, threading
    from nbtool.engines.local.worker import Worker

    made = []

    @functools.wraps(Worker._done)
    def done(worker, run, recipes, *args):
        done.__wrapped__(worker, run, recipes, *args)
        made.extend(recipes)
        while len(made) >= 4 and not released.exists():
            threading.Event().wait(0.05)

    Worker._done = done

hold(__import__("pathlib").Path({released!r}))
del hold
"""
_LET_GO = """
from nbtool.engines.local.worker import Worker
Worker._done = Worker._done.__wrapped__
del Worker
"""
expect.set_options(timeout=SECONDS * 1000)


class Lab:
    """A running JupyterLab; notebooks in it have a folder, a store and a page of their own.

    The kernel of a notebook that was left is the next one's: loading torch and the model takes
    longer than most tests.
    """

    def __init__(self, browser: Browser, folder: Path, *, theme: str = LIGHT) -> None:
        self._context = browser.new_context()  # one for all: JupyterLab is fetched once
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        self._token = secrets.token_hex(16)
        self._settings = folder / "settings"
        self._count = 0
        self._pages: list[Page] = []
        self._left: dict[str, str] = {}  # the session of a kernel without notebook, by its name
        self.theme(theme)
        for name, settings in _SETTINGS.items():
            self._set(name, settings)
        _add_older_kernel(folder / "data")
        self._runtime = folder / "runtime"
        self._log = (folder / "lab.log").open("w")
        root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", *root, "--ip=127.0.0.1"),
            *("--port=0", f"--IdentityProvider.token={self._token}"),
            *(f"--notebook-dir={self.folder}", "--expose-app-in-browser"),
            *("--ServerApp.disable_check_xsrf=True", "--LabApp.extension_manager=readonly"),
        ]
        ours = ("NBTOOL_", "PYTEST_", "HF_", "JUPYTER")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment = kept | {
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_RUNTIME_DIR": str(self._runtime),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_PATH": str(folder / "data"),
            "IPYTHONDIR": str(folder / "ipython"),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
        }
        self._process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=self._log, cwd=folder
        )
        self._url = self._address()

    def theme(self, name: str) -> None:
        """The theme of the pages that are opened from now on."""
        self._set("apputils-extension/themes", {"theme": name})

    def notebook(
        self, sources: list[str] | Path, *, width: int = 1280, kernel: str = NEWER_KERNEL
    ) -> Notebook:
        """Opens a new notebook with these cells, or a copy of one, in a page of its own."""
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir()
        path = folder / "notebook.ipynb"
        if isinstance(sources, Path):
            path.write_bytes(sources.read_bytes())
        else:
            cells = [nbformat.v4.new_code_cell(source) for source in sources]
            metadata = {"kernelspec": {"name": kernel, "display_name": kernel}}
            document = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
            nbformat.write(document, path)
        left = self._left.pop(kernel, None)
        if left:
            self._rename(left, path)
        opened = self.open(path, width=width)
        if left:
            opened.enter_folder()
        return opened

    def open(self, path: Path, *, width: int = 1280) -> Notebook:
        """Opens a notebook of this lab's folder in a new page."""
        page = self._context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.set_default_timeout(SECONDS * 1000)
        self._pages.append(page)
        name = path.relative_to(self.folder)
        page.goto(f"{self._url}/lab/tree/{name}?token={self._token}&reset")
        notebook = Notebook(page, path)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.content?.model")
        page.evaluate("jupyterapp.shell.collapseLeft()")
        notebook.wait_for_kernel()
        return notebook

    def leave_pages(self) -> None:
        """Closes what is open; its kernels are for the notebooks that are opened next."""
        for page in self._pages:
            with contextlib.suppress(Error):
                if kernel := page.evaluate(_LEAVE, [_CLEAR, SECONDS]):
                    name, session = kernel
                    self._left[name] = session
            page.close()
        self._pages.clear()

    def close_pages(self) -> None:
        """Closes what is open and ends its kernels."""
        for page in self._pages:
            with contextlib.suppress(Error):
                page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
            page.close()
        self._pages.clear()

    def close(self) -> None:
        self.close_pages()
        self._process.send_signal(signal.SIGINT)
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _set(self, plugin: str, settings: dict[str, object]) -> None:
        path = self._settings / f"@jupyterlab/{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))

    def _rename(self, session: str, path: Path) -> None:
        """Makes a session that of another notebook."""
        name = path.relative_to(self.folder).as_posix()
        request = urllib.request.Request(
            f"{self._url}/api/sessions/{session}?token={self._token}",
            data=json.dumps({"path": name}).encode(),
            method="PATCH",
        )
        urllib.request.urlopen(request).close()

    def _address(self) -> str:
        """Where the server is, once it answers there: it takes a port that is free."""
        about = self._runtime / f"jpserver-{self._process.pid}.json"
        stop = time.monotonic() + SECONDS
        while time.monotonic() < stop and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                url = f"http://127.0.0.1:{json.loads(about.read_text())['port']}"
                urllib.request.urlopen(f"{url}/api?token={self._token}").close()
                return url
            time.sleep(0.1)
        raise RuntimeError(Path(self._log.name).read_text())


def _add_older_kernel(data: Path) -> None:
    """A kernel like the usual one, but with ipykernel 6."""
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    path = {"PYTHONPATH": str(Path(sys.prefix) / OLDER_KERNEL)}  # `make venv` puts it there
    specification = {"argv": launch, "display_name": OLDER_KERNEL, "env": path}
    folder = data / "kernels" / OLDER_KERNEL
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(specification))


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def store(self) -> Path:
        """Where the notebook's generators keep their images by default."""
        return self.path.parent / "nbtool-images"

    def run_all(self) -> None:
        """Runs every cell and waits for the last one."""
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.evaluate("window.scrollTo(0, 0)")

    def run(self, cell: int, *, wait: bool = True) -> None:
        """Runs one cell; without waiting, it goes on in the background."""
        action = (
            "cell => { jupyterapp.shell.currentWidget.content.activeCellIndex = cell;"
            "  const done = jupyterapp.commands.execute('notebook:run-cell'); RETURN }"
        )
        self.page.evaluate(action.replace("RETURN", "return done" if wait else ""), cell)

    def output(self, cell: int) -> Locator:
        """The outputs below a cell."""
        cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        return cells.nth(cell).locator(".jp-Cell-outputArea .jp-OutputArea-output")

    def text(self, cell: int) -> str:
        """What a cell printed or returned, as text."""
        return "\n".join(self.output(cell).all_inner_texts())

    def run_until(self, cell: int, text: str) -> None:
        """Runs a cell again and again until it shows a text: widgets tell Python in their time."""
        stop = time.monotonic() + SECONDS
        self.run(cell)
        while text not in self.text(cell) and time.monotonic() < stop:
            self.run(cell)
        expect(self.output(cell).first).to_contain_text(text)

    def save(self) -> None:
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        session = "jupyterapp.shell.currentWidget.sessionContext.session"
        self.page.evaluate(f"{session}.kernel.restart()")
        self.wait_for_kernel()
        self.enter_folder()

    def enter_folder(self) -> None:
        """Takes the kernel to the notebook's folder; it may have begun in another's."""
        self.execute(f"__import__('os').chdir({str(self.path.parent)!r})")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no more images are made than the first few, however fast the machine is."""
        released = self.path.with_name("released")
        self.execute(_HOLD.format(released=str(released)))
        try:
            yield
        finally:
            released.touch()
            self.execute(_LET_GO)

    def execute(self, code: str = "") -> None:
        """Runs code in the kernel, once it has done what it was asked to do before."""
        session = "jupyterapp.shell.currentWidget.sessionContext.session"
        request = f"{session}.kernel.requestExecute({{ code, silent: true }}).done"
        answer = self.page.evaluate(f"code => {request}.then(reply => reply.content)", code)
        assert answer["status"] == "ok", answer

    def wait_for_kernel(self) -> None:
        """Waits until the kernel is there and has nothing to do."""
        session = "jupyterapp.shell.currentWidget.sessionContext.session"
        self.page.wait_for_function(f"{session}?.kernel?.status === 'idle'")
