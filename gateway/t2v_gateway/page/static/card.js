// One video in the gallery: made of the template, brought up to date in place.

import { about, ago, exactly, length, shortened } from "./words.js";

const template = document.getElementById("card");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The element of a video. `open` and `retry` are called with its id. */
export function newCard(video, { open, retry }) {
  const element = template.content.firstElementChild.cloneNode(true);
  const card = element.querySelector(".card");
  const move = () => preview(element, true);
  const rest = () => preview(element, false);
  card.addEventListener("pointerenter", move);
  card.addEventListener("pointerleave", rest);
  card.addEventListener("focusin", move);
  card.addEventListener("focusout", rest);
  element.querySelector(".open").addEventListener("click", () => open(element.video.id));
  element.querySelector(".retry").addEventListener("click", () => retry(element.video.id));
  element.querySelector("img").addEventListener("error", (event) => (event.target.hidden = true));
  showCard(element, video);
  return element;
}

/** Bring an element up to date. */
export function showCard(element, video) {
  const find = (selector) => element.querySelector(selector);
  const put = (selector, text) => {
    const place = find(selector);
    if (place.textContent !== text) place.textContent = text;
  };
  element.video = video;
  element.dataset.id = video.id;
  element.dataset.state = video.state;
  put(".open", video.prompt || "A video without a prompt");
  put(".model", video.model);
  put(".length", length(video.seconds));
  put(".badge", video.isReused ? "Taken from the store" : "");
  find(".open").setAttribute("aria-description", described(video));
  put(".percent", hasPercent(video) ? `${video.percent} %` : "");
  put(".stage", middle(video));
  put(".eta", video.state === "failed" ? video.advice : patience(video));
  find(".retry").hidden = video.state !== "failed";
  find(".retry").setAttribute("aria-label", `Retry: ${shortened(video.prompt)}`);
  picture(find("img"), video.poster);
  bar(find("progress"), video);
  showTime(element);
}

/** How long ago it was asked for. */
export function showTime(element) {
  const time = element.querySelector("time");
  const text = ago(element.video.created);
  if (time.textContent === text) return;
  time.textContent = text;
  time.dateTime = element.video.created;
  time.title = exactly(element.video.created);
}

/** How far it is; no bar as long as nothing runs. */
export function bar(progress, video) {
  progress.hidden = !hasPercent(video);
  if (!progress.hidden) progress.value = video.percent;
  progress.setAttribute("aria-label", `Progress of ${shortened(video.prompt)}`);
}

/** How long one has to wait, as far as that is known. */
export function patience({ eta, due, expected }, now = Date.now()) {
  if (eta === 0) return "nearly done";
  if (eta) return `${about(eta)} left`;
  const seconds = (Date.parse(due) - now) / 1000;
  if (seconds > 0) return `there in ${about(seconds)}`;
  return expected ? `takes ${about(expected)} once it begins` : "";
}

export const hasPercent = (video) => video.state === "working" && video.percent !== null;

/** What is seen of a video, for whoever does not see it. */
export function described(video) {
  if (video.state === "ready") return video.isRemoved ? "Its files were removed" : `Ready, ${length(video.seconds)}`;
  return [middle(video), video.state === "failed" ? video.advice : ""].filter(Boolean).join(". ");
}

function middle(video) {
  if (video.state === "failed") return video.title;
  if (video.state === "working") return video.stage;
  if (video.isRemoved) return "Its files were removed";
  return video.poster ? "" : "Ready";
}

function picture(image, address) {
  if (image.dataset.poster === (address ?? "")) return;
  image.dataset.poster = address ?? "";
  image.hidden = !address;
  if (address) image.src = address;
  else image.removeAttribute("src");
}

/** The moving preview while the card is looked at. */
function preview(element, wanted) {
  const image = element.querySelector("img");
  const { poster, preview: moving } = element.video;
  if (!poster || !moving || (wanted && still.matches)) return;
  const active = wanted || element.querySelector(".card").matches(":hover, :focus-within");
  element.querySelector(".card").classList.toggle("moves", active);
  image.src = active ? moving : poster;
}
