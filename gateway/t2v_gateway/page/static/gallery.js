// The videos, newest first: pages of them, a filter, and what changes while one looks.

import { newCard, showCard, showTime } from "./card.js";
import { announce, say } from "./say.js";
import { make, read } from "./server.js";
import { shortened } from "./words.js";

const PAGE = 24;
const MOST = 200; // that are loaded anew at once

const list = document.getElementById("cards");
const more = document.getElementById("more");
const empty = document.getElementById("empty");
const filters = [...document.querySelectorAll("[data-show]")];

const elements = new Map();
let show = "all";
let next = null;
let turn = 0; // answers to earlier questions are not shown
let opener = () => {};

/** `open`: called with the id of a video that somebody wants to see. */
export function startGallery(open) {
  opener = open;
  for (const filter of filters) filter.addEventListener("click", () => choose(filter.dataset.show));
  more.addEventListener("click", showMore);
  setInterval(() => document.hidden || elements.forEach(showTime), 20000);
}

/** The list as it is now, as much of it as was shown. */
export async function load() {
  const mine = ++turn;
  const limit = Math.min(MOST, Math.max(PAGE, elements.size));
  try {
    const page = await read(`videos?show=${show}&limit=${limit}`);
    if (mine !== turn) return;
    next = page.next;
    const there = new Set(page.videos.map((video) => video.id));
    for (const id of [...elements.keys()]) if (!there.has(id)) drop(id);
    page.videos.forEach((video) => put(video));
    page.videos.forEach((video, place) => {
      const element = elements.get(video.id);
      if (element && list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
    });
  } catch (error) {
    say(error.message);
  } finally {
    list.setAttribute("aria-busy", "false");
    tidy();
  }
}

/** What changed of videos, seen or new. */
export function change({ videos, gone }) {
  gone.forEach(drop);
  for (const video of videos) {
    const before = elements.get(video.id)?.video;
    if (before?.state === "working" && video.state === "ready") announce(`Ready: ${shortened(video.prompt)}`);
    if (before?.state === "working" && video.state === "failed") announce(`Failed: ${shortened(video.prompt)}. ${video.title}`);
    put(video);
  }
  tidy();
}

/** A video that was asked for just now. */
export function add(video) {
  if (show !== "all" && show !== video.state) choose("all");
  put(video);
  tidy();
}

export function forget(id) {
  const element = elements.get(id);
  const beside = element?.nextElementSibling ?? element?.previousElementSibling;
  drop(id);
  tidy();
  (beside?.querySelector(".open") ?? document.getElementById("gallery")).focus();
}

/** How many there are of each kind. */
export function count(mine) {
  const all = mine.working + mine.ready + mine.failed;
  for (const filter of filters) {
    const number = filter.dataset.show === "all" ? all : mine[filter.dataset.show];
    filter.querySelector("span").textContent = number || "";
  }
}

/** Ask for the same video once more. */
export async function repeat(id, seed) {
  try {
    add(await make(`videos/${id}/again`, { seed }));
    say(seed === "other" ? "On its way, with another seed." : "On its way once more.");
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

function choose(wanted) {
  show = wanted;
  for (const filter of filters) filter.setAttribute("aria-pressed", String(filter.dataset.show === show));
  [...elements.keys()].forEach(drop);
  next = null;
  list.setAttribute("aria-busy", "true");
  return load();
}

async function showMore() {
  const mine = turn;
  more.setAttribute("aria-disabled", "true");
  try {
    const page = await read(`videos?show=${show}&limit=${PAGE}&before=${encodeURIComponent(next)}`);
    if (mine !== turn) return;
    next = page.next;
    const first = page.videos.find((video) => !elements.has(video.id));
    page.videos.forEach((video) => put(video));
    elements.get(first?.id)?.querySelector(".open").focus({ preventScroll: true });
  } catch (error) {
    say(error.message);
  } finally {
    more.removeAttribute("aria-disabled");
    tidy();
  }
}

/** Of two that came in another order than they were told the newer stays. */
function put(video) {
  const element = elements.get(video.id);
  if (show !== "all" && video.state !== show) return drop(video.id);
  if (element) {
    if (video.version >= element.video.version) showCard(element, video);
    return;
  }
  if (next && isBefore(video, next)) return; // it stands on a page that was not asked for yet
  const made = newCard(video, { open: opener, retry: (id) => repeat(id, "same") });
  elements.set(video.id, made);
  const later = [...list.children].find((each) => isOlder(each.video, video));
  list.insertBefore(made, later ?? null);
}

function drop(id) {
  elements.get(id)?.remove();
  elements.delete(id);
}

function tidy() {
  more.hidden = !next;
  empty.hidden = elements.size > 0 || list.getAttribute("aria-busy") === "true";
  const isFirst = show === "all";
  document.getElementById("empty-text").textContent = isFirst ? "Nothing here yet" : "None of these";
  document.getElementById("empty-hint").hidden = !isFirst;
  document.getElementById("examples").hidden = !isFirst;
}

const isOlder = (one, other) =>
  one.created < other.created || (one.created === other.created && BigInt(one.id) < BigInt(other.id));

function isBefore(video, place) {
  const [created, id] = place.split("~");
  return isOlder(video, { created, id });
}
