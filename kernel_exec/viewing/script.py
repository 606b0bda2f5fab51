"""What the live page runs itself: it puts the cells that changed where they belong, and counts seconds."""

SCRIPT = """
"use strict";
const main = document.querySelector("main"), head = document.querySelector("#head");
let skew = Date.now() / 1000 - Number(main.dataset.now);

function made(html) {
  const place = document.createElement("div");
  place.innerHTML = html;
  return place.firstElementChild;
}

function redrawHead(html) {
  const open = [...head.querySelectorAll("details")].map((one) => one.open);
  head.innerHTML = html;
  head.querySelectorAll("details").forEach((one, index) => { one.open = Boolean(open[index]); });
}

let following = true;  // until somebody scrolls away from the end
const end = () => document.documentElement.scrollHeight;
const follow = () => { if (following) scrollTo(0, end()); };
addEventListener("scroll", () => { following = innerHeight + scrollY >= end() - 80; }, {passive: true});
main.addEventListener("load", follow, true);  // a picture has its height once it is drawn

function redraw(update) {
  skew = Date.now() / 1000 - update.now;
  document.title = update.title;
  redrawHead(update.head);
  for (const [index, html] of update.cells) {
    const fresh = made(html), old = main.children[index];
    if (old) old.replaceWith(fresh); else main.append(fresh);
    if (fresh.classList.contains("running"))
      fresh.querySelectorAll(".tall").forEach((one) => { one.scrollTop = one.scrollHeight; });
  }
  while (main.children.length > update.count) main.lastElementChild.remove();
  count();
  follow();
}

function count() {
  let text = "";
  for (const one of main.querySelectorAll(".status.running[data-since]")) {
    const seconds = Math.max(0, (Date.now() / 1000 - skew) - Date.parse(one.dataset.since) / 1000);
    text = one.textContent = "running " + (seconds < 60 ? seconds.toFixed(1) + " s" :
      Math.floor(seconds / 60) + " min " + Math.floor(seconds % 60) + " s");
  }
  const chip = head.querySelector(".live:not(.lost)");
  if (chip) chip.textContent = [chip.dataset.state, text, chip.dataset.memory].filter(Boolean).join(" · ");
}

const source = new EventSource("events?seen=" + main.dataset.version);
source.onmessage = (event) => redraw(JSON.parse(event.data));
source.onerror = () => {
  const chip = head.querySelector(".live");
  if (chip) { chip.textContent = "not connected"; chip.className = "live lost"; }
};
source.onopen = () => { if (head.querySelector(".live.lost")) location.reload(); };
setInterval(count, 100);
count();
follow();
"""
