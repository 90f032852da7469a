// What a cell looks like. Called again whenever something about it may have changed; touches
// only what has, and keeps a picture until the next one is decoded.

const WORDS = { ".": "not made", r: "in the making", d: "made", f: "failed" };

function dressCell(node, cell) {
  const { state, url, caption, reason, marks, waiting, roomy, decoding } = cell;
  const words = [caption, state === "d" ? "" : WORDS[state], reason, ...marks];
  const label = words.filter(Boolean).join(", ");
  if (node.getAttribute("aria-label") !== label) node.setAttribute("aria-label", label);
  const kinds = ["cell", { ".": "missing", r: "running", d: "made", f: "failed" }[state], ...marks];
  if (state === "." && waiting) kinds.push("waiting");
  if (url) kinds.push("pictured");
  const name = kinds.join(" ");
  if (node.className !== name) node.className = name;
  if (url && state !== "f") {
    showPicture(node, url, caption, decoding);
    return;
  }
  node.picture = null;
  const text = state === "." && !waiting && roomy ? "not made" : "";
  const body = state === "f" ? `failed\n${reason}` : text;
  if (node.textContent === body && !node.querySelector("img")) return;
  if (state === "f") node.replaceChildren(make("span", { class: "alert" }, "failed"), `\n${reason}`);
  else node.replaceChildren(body);
}

function showPicture(node, url, caption, decoding) {
  if (node.picture === url) return;
  node.picture = url;
  const image = make("img", { alt: caption, decoding, draggable: false });
  image.src = url;
  const place = () => node.picture === url && node.replaceChildren(image);
  if (!node.querySelector("img")) place();
  else image.decode().then(place, () => {});
}
