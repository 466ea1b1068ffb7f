// The module of the notebook's widget: a frame with the page in it, and the way its questions take
// to the kernel. The page is a document of its own: neither its style nor its addresses meet the
// notebook's, and a document from a Blob can follow links behind its own #.

/** The page's document; Python puts it before this module (tomogram/viewer/widget.py). */
declare const page: string;

interface Model {
  get(name: string): unknown;
  send(message: unknown): void;
  on(event: "msg:custom", react: (message: unknown) => void): void;
  off(event: "msg:custom", react: (message: unknown) => void): void;
}

/** JupyterLab and VS Code say which colours the notebook has; elsewhere the system does. */
function scheme(): string {
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight) return jpThemeLight === "true" ? "light" : "dark";
  if (vscodeThemeKind) return vscodeThemeKind.includes("light") ? "light" : "dark";
  return "light dark";
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const frame = document.createElement("iframe");
  const address = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  const { port1: port, port2: theirs } = new MessageChannel();
  const answer = (message: unknown) => port.postMessage(message);
  frame.title = "Tomogram";
  frame.style.cssText = `width: 100%; height: ${Number(model.get("height"))}px; border: 0; color-scheme: ${scheme()};`;
  port.onmessage = (event) => model.send(event.data);
  model.on("msg:custom", answer);
  frame.addEventListener("load", () => frame.contentWindow?.postMessage("tomogram", "*", [theirs]), { once: true });
  frame.src = `${address}#${String(model.get("address"))}`;
  el.append(frame);
  return () => {
    model.off("msg:custom", answer);
    port.close();
    URL.revokeObjectURL(address);
  };
}

export default { render };
