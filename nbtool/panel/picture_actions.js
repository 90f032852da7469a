// What can be done with the image in the enlarged view, wherever it was opened from.
// send(kind, more, keys) tells Python; remove(key) deletes it and goes on to the next.

const ACTIONS_HINT = "← → through the gallery · S stars · Del deletes · Esc back";

function pictureActions(key, starred, send, remove) {
  return [
    { name: "Star", label: starred ? "★ Starred" : "☆ Star", pressed: starred, key: "s",
      act: () => send("star", { starred: !starred }, [key]) },
    { name: "Use these settings", label: "Use these settings", act: () => send("use", {}, [key]) },
    { name: "Start from this", label: "Start from this", act: () => send("start", {}, [key]) },
    { name: "Delete", label: "Delete", key: "Delete", act: () => remove(key) },
  ];
}

// The next image, or else the one before, takes the place of one that is taken away by `kind`.
function takeEnlarged(host, enlarged, send, key, kind = "delete") {
  const next = host.beside(key, 1) ?? host.beside(key, -1);
  send(kind, {}, [key]);
  if (next === null) enlarged.element.close();
  else enlarged.go(next);
}
