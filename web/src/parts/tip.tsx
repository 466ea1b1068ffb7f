// One small label that follows hover, taps and the keyboard: the value of what is pointed at.
import { useEffect } from "preact/hooks";

function box(): HTMLElement {
  let found = document.getElementById("tip");
  if (!found) {
    found = document.createElement("div");
    found.id = "tip";
    found.className = "value-tip";
    found.setAttribute("role", "status");
    document.body.append(found);
  }
  return found;
}

let shown: HTMLElement | SVGElement | null = null;

export function showTip(target: HTMLElement | SVGElement) {
  const tip = box();
  shown = target;
  const said = target.getAttribute("data-tip") ?? "";
  const words = target.tagName === "MARK" ? `${target.textContent?.trim()} ${said}` : said;
  tip.textContent = words;
  tip.classList.add("shown");
  const [around, own] = [target.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.max(6, Math.min(innerWidth - own.width - 6, around.left + around.width / 2 - own.width / 2));
  const above = around.top - own.height - 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : around.bottom + 6}px`;
}

export function hideTip() {
  shown = null;
  document.getElementById("tip")?.classList.remove("shown");
}

/** The label stays with what it belongs to while the page scrolls. */
function follow() {
  if (shown?.isConnected) showTip(shown);
  else if (shown) hideTip();
}

/** Listens for the whole page. */
export function Tip() {
  useEffect(() => {
    const point = (event: Event) => {
      const target = (event.target as Element | null)?.closest?.("[data-tip]");
      if (target) showTip(target as HTMLElement);
      else hideTip();
    };
    const escape = (event: KeyboardEvent) => event.key === "Escape" && hideTip();
    document.addEventListener("pointerover", point);
    document.addEventListener("click", point);
    document.addEventListener("keydown", escape);
    addEventListener("scroll", follow, true);
    addEventListener("hashchange", hideTip);
    box();
    return () => {
      document.removeEventListener("pointerover", point);
      document.removeEventListener("click", point);
      document.removeEventListener("keydown", escape);
      removeEventListener("scroll", follow, true);
      removeEventListener("hashchange", hideTip);
    };
  }, []);
  return null;
}
