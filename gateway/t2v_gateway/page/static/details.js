// One video, opened: it plays, and everything about it can be read and copied.

import { bar, described, hasPercent, patience } from "./card.js";
import { use } from "./composer.js";
import { forget, repeat } from "./gallery.js";
import { say } from "./say.js";
import { read, remove } from "./server.js";
import { exactly } from "./words.js";

const STATES = { working: "In progress", ready: "Ready", failed: "Failed" };

const sheet = document.getElementById("details");
const confirm = document.getElementById("confirm");
const screen = document.getElementById("details-screen");
const part = (name) => document.getElementById(`details-${name}`);
const still = matchMedia("(prefers-reduced-motion: reduce)");
let video = null;

export function startDetails() {
  document.getElementById("details-close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  sheet.addEventListener("close", closed);
  document.getElementById("confirm-no").addEventListener("click", () => confirm.close());
  document.getElementById("confirm-yes").addEventListener("click", erase);
  for (const button of sheet.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => DO[button.dataset.do]?.());
  }
  addEventListener("hashchange", openNamed);
  openNamed();
}

export async function open(id) {
  try {
    show(await read(`videos/${id}`));
  } catch (error) {
    return say(error.message);
  }
  history.replaceState(null, "", `#video/${id}`);
  if (!sheet.open) sheet.showModal();
  part("title").focus();
  sheet.querySelector(".sheet-body").scrollTop = 0;
}

/** What changed of videos: perhaps this one. */
export async function follow({ videos, gone }) {
  if (!sheet.open || !video) return;
  if (gone.includes(video.id)) return sheet.close();
  const news = videos.find((each) => each.id === video.id && each.version > video.version);
  if (!news) return;
  try {
    show(await read(`videos/${video.id}`));
  } catch {
    // It is gone, or the gateway is away: the next event says so.
  }
}

const DO = {
  again: () => repeat(video.id, "other").then((made) => made && sheet.close()),
  retry: () => repeat(video.id, "same").then((made) => made && sheet.close()),
  use: () => {
    const { request } = video;
    sheet.close();
    use(request);
  },
  link: () => copy(video.url, "The link is copied.", part("actions").querySelector("[data-do=open]")),
  manifest: () => copy(video.manifest, "The manifest is copied.", part("manifest")),
  delete: () => {
    document.getElementById("confirm-text").textContent = video.state === "working"
      ? "It is stopped, and its entry is deleted."
      : video.keepsFiles ? "Its entry is deleted. Its files stay in the store." : "Its entry and its files are deleted.";
    confirm.showModal();
  },
};

async function erase() {
  const { id } = video;
  try {
    await remove(`videos/${id}`);
  } catch (error) {
    return say(error.message);
  } finally {
    confirm.close();
  }
  sheet.close();
  forget(id);
  say("Deleted.");
}

function show(now) {
  const isNew = video?.id !== now.id || video?.state !== now.state;
  video = now;
  part("state").textContent = STATES[video.state];
  part("title").textContent = video.prompt || "A video without a prompt";
  if (isNew) screen.replaceChildren(...picture());
  if (video.state === "working") progress();
  why();
  part("note").textContent = note();
  list("inputs", video.inputs);
  list("outcome", video.outcome);
  document.getElementById("outcome").hidden = video.outcome.length === 0;
  document.getElementById("inputs-title").textContent = video.isResolved ? "Exact inputs" : "What was asked for";
  part("manifest").textContent = video.manifest;
  const has = { again: video.state !== "failed", retry: video.state === "failed", open: video.url, link: video.url, use: video.inputs.length };
  for (const button of part("actions").children) button.hidden = button.dataset.do in has && !has[button.dataset.do];
  const file = part("actions").querySelector("[data-do=open]");
  if (video.url) file.href = video.url;
  else file.removeAttribute("href");
}

function picture() {
  if (video.state === "ready" && video.url) {
    const player = document.createElement("video");
    Object.assign(player, { src: video.url, controls: true, loop: true, muted: true, playsInline: true, autoplay: !still.matches, preload: "metadata" });
    if (video.poster) player.poster = video.poster;
    player.setAttribute("aria-label", `Video: ${video.prompt}`);
    if (video.width && video.height) [player.width, player.height] = [video.width, video.height];
    player.addEventListener("error", () => screen.replaceChildren(waits("It does not play. Its link may have ended, or the store is away.")));
    return [player];
  }
  return video.state === "working" ? [waits("")] : [];
}

function waits(text) {
  const box = document.createElement("div");
  box.className = "waits";
  const add = (tag, name) => Object.assign(box.appendChild(document.createElement(tag)), { className: name });
  add("p", "percent");
  add("p", "stage").textContent = text;
  add("p", "eta");
  Object.assign(add("progress", ""), { max: 100, hidden: true });
  return box;
}

function progress() {
  const find = (selector) => screen.querySelector(selector);
  find(".percent").textContent = hasPercent(video) ? `${video.percent} %` : "";
  find(".stage").textContent = video.stage;
  find(".eta").textContent = patience(video);
  bar(find("progress"), video);
}

function why() {
  const box = part("why");
  box.hidden = video.state !== "failed";
  if (box.hidden) return;
  box.querySelector(".why-title").textContent = video.title;
  box.querySelector(".why-advice").textContent = video.advice;
  box.querySelector(".why-message").textContent = video.message;
}

function note() {
  const parts = [`Asked for on ${exactly(video.created)}.`];
  if (video.state === "working" && video.note) parts.push(sentence(video.note));
  if (video.state === "ready" && video.message) parts.push(sentence(video.message));
  if (video.linkEnds) parts.push(`The link opens until ${exactly(video.linkEnds)}.`);
  if (video.isRemoved) parts.push(`${described(video)}.`);
  return parts.join(" ");
}

function list(name, rows) {
  part(name).replaceChildren(...rows.flatMap(([label, value]) => [
    Object.assign(document.createElement("dt"), { textContent: label }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  ]));
}

async function copy(text, done, shown) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    getSelection().selectAllChildren(shown); // without https a page may not copy by itself
    say(document.execCommand("copy") && shown === part("manifest") ? done : "It is marked: copy it with Ctrl+C.");
  }
}

function closed() {
  screen.replaceChildren();
  video = null;
  if (location.hash.startsWith("#video/")) history.replaceState(null, "", location.pathname + location.search);
}

function openNamed() {
  const named = /^#video\/(\d{1,19})$/.exec(location.hash);
  if (named && video?.id !== named[1]) open(named[1]);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
