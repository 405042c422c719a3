// Loads the page anew every two seconds and puts its content in place of the old. Without it the page is as readable.
"use strict";
(() => {
  const PAUSE = 2000;
  const box = document.getElementById("live");
  const wanted = box.querySelector("input");
  const content = () => document.getElementById("content");

  const isLive = () => content().dataset.live === "true";
  const isBusy = () => {
    const active = document.activeElement;
    const selected = document.getSelection();
    return document.hidden || (active && active.matches("input, button, select")) || (selected && !selected.isCollapsed);
  };

  async function refresh() {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("content");
    if (!fresh || isBusy()) return;
    const old = content();
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    for (const details of old.querySelectorAll("details[open][id]")) {
      const same = fresh.querySelector("#" + CSS.escape(details.id));
      if (same) same.open = true;
    }
    const scrolled = [...old.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    old.replaceWith(document.adoptNode(fresh));
    content().querySelectorAll(".scroll").forEach((part, i) => { part.scrollLeft = scrolled[i] || 0; });
    if (focused) {
      const same = content().querySelector('a[href="' + CSS.escape(focused) + '"]');
      if (same) same.focus({ preventScroll: true });
    }
    const footer = page.querySelector("footer");
    const spans = footer ? footer.querySelectorAll("span") : [];
    document.querySelectorAll("footer > span:not(#live)").forEach((part, i) => {
      if (spans[i]) part.textContent = spans[i].textContent;
    });
  }

  async function tick() {
    box.hidden = !isLive();
    if (isLive() && wanted.checked && !isBusy()) {
      try { await refresh(); } catch { /* the server is away: try again */ }
    }
    setTimeout(tick, PAUSE);
  }
  box.hidden = !isLive();
  setTimeout(tick, PAUSE);
})();
