// Sends a message to the Python of a widget, and says whether there was a connection to send it on.
// A view outlives its kernel, and then a front end may throw where it is asked to send.
function toKernel(model, content, buffers) {
  try {
    model.send(content, undefined, buffers);
    return true;
  } catch {
    return false;
  }
}

const OVER = ["restarting", "autorestarting", "terminating", "dead"];

// Calls `act` when a front end that tells of its kernel says that it is gone; gives the way to stop.
function whenKernelIsGone(model, act) {
  const kernel = model.widget_manager?.kernel;
  const check = () => (OVER.includes(kernel?.status) || kernel?.isDisposed) && act();
  model.on("comm_live_update", check);
  kernel?.statusChanged?.connect(check);
  kernel?.disposed?.connect(check);
  return () => {
    model.off("comm_live_update", check);
    kernel?.statusChanged?.disconnect(check);
    kernel?.disposed?.disconnect(check);
  };
}
