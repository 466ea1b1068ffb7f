"use strict";
// The page is complete without this script; it adds the gallery's filter and values on tap.
(() => {
  const form = document.querySelector(".filter");
  if (form) {
    const query = document.getElementById("query");
    const group = document.getElementById("group");
    const draw = document.getElementById("draw");
    const count = document.getElementById("count");
    const more = document.getElementById("more");
    const STEP = 24;
    let limit = STEP;
    const cards = [...document.querySelectorAll(".card")].map((card) => ({
      card,
      text: card.textContent.toLowerCase(),
    }));
    const apply = () => {
      const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const { card, text } of cards) {
        const keep =
          (!group.value || card.dataset.group === group.value) &&
          (!draw.value || card.dataset.draw === draw.value) &&
          words.every((word) => text.includes(word));
        card.hidden = !keep || found >= limit;
        found += keep;
      }
      const shown = Math.min(found, limit);
      count.textContent =
        found > shown ? `${shown} of ${found} found` : `${found} of ${cards.length}`;
      more.hidden = found <= limit;
      more.textContent = `Show ${Math.min(STEP, found - limit)} more`;
    };
    form.addEventListener("input", () => {
      limit = STEP;
      apply();
    });
    more.addEventListener("click", () => {
      const next = limit;
      limit += STEP;
      apply();
      // Whoever goes by keyboard goes on at the first new card.
      const visible = cards.filter(({ card }) => !card.hidden);
      visible[next]?.card.querySelector("a")?.focus({ preventScroll: true });
    });
    window.addEventListener("beforeprint", () => {
      limit = Infinity;
      apply();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    // A link to a card that is hidden must still lead somewhere.
    const follow = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (target && target.hidden) {
        form.reset();
        limit = Infinity;
        apply();
        target.scrollIntoView();
      }
    };
    window.addEventListener("hashchange", follow);
    form.hidden = false;
    apply();
    follow();
  }

  // Fingers do not hover: a tap on a marked token shows its activation.
  const tip = document.getElementById("tip");
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("mark[title]");
    tip.hidden = !mark;
    if (mark) tip.textContent = `activation ${mark.title}`;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hidden = true;
  });

  // The rail shows where the reader is.
  const links = new Map(
    [...document.querySelectorAll(".rail a")].map((link) => [link.hash.slice(1), link]),
  );
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const link = links.get(entry.target.getAttribute("aria-labelledby"));
        if (link && entry.isIntersecting) {
          for (const other of links.values()) other.removeAttribute("aria-current");
          link.setAttribute("aria-current", "true");
        }
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const section of document.querySelectorAll("section[aria-labelledby]")) {
    observer.observe(section);
  }
})();
