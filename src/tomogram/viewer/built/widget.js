// src/widget.ts
function e() {
	let { jpThemeLight: e, vscodeThemeKind: t } = document.body.dataset;
	return e ? e === "true" ? "light" : "dark" : t ? t.includes("light") ? "light" : "dark" : "light dark";
}
function t({ model: t, el: n }) {
	let r = document.createElement("iframe"), i = URL.createObjectURL(new Blob([page], { type: "text/html" })), { port1: a, port2: o } = new MessageChannel(), s = (e) => a.postMessage(e);
	return r.title = "Tomogram", r.style.cssText = `width: 100%; height: ${Number(t.get("height"))}px; border: 0; color-scheme: ${e()};`, a.onmessage = (e) => t.send(e.data), t.on("msg:custom", s), r.addEventListener("load", () => r.contentWindow?.postMessage("tomogram", "*", [o]), { once: !0 }), r.src = `${i}#${String(t.get("address"))}`, n.append(r), () => {
		t.off("msg:custom", s), a.close(), URL.revokeObjectURL(i);
	};
}
var n = { render: t };
export { n as default };
