// Where the images' folder is in JupyterLab's or Notebook's own file browser, if it is below the
// folder that the server was started in.

function folderLink(folder) {
  const page = pageConfig();
  if (!page?.serverRoot || !folder.path) return null;
  const root = page.serverRoot.replace(/^~(?=[/\\]|$)/, folder.home).replace(/[/\\]+$/, "");
  const below = folder.path.slice(root.length).replaceAll("\\", "/");
  if (!folder.path.startsWith(root) || (below && !below.startsWith("/"))) return null;
  const path = below.replace(/^\//, "");
  const isNotebook = "notebookPage" in page;
  const url = `${page.baseUrl ?? "/"}${isNotebook ? "tree" : "lab/tree"}/${path.split("/").map(encodeURIComponent).join("/")}`;
  const link = make("a", { class: "button", href: url, target: "_blank" }, "Show in files");
  link.title = folder.path;
  if (!isNotebook) { // JupyterLab's command linker listens to these
    link.dataset.commandlinkerCommand = "filebrowser:go-to-path";
    link.dataset.commandlinkerArgs = JSON.stringify({ path });
  }
  return link;
}

function pageConfig() {
  try {
    return JSON.parse(document.getElementById("jupyter-config-data").textContent);
  } catch {
    return null; // not a Jupyter page
  }
}
