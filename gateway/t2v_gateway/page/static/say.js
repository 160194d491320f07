// What is said to whoever looks, and to whoever listens.

const toast = document.getElementById("toast");
const news = document.getElementById("news");
let timer = 0;

/** A short word about what was just done; it goes by itself. */
export function say(text) {
  clearTimeout(timer);
  toast.textContent = text;
  const home = document.querySelector("dialog[open]:last-of-type") ?? document.body;
  if (toast.parentElement !== home) home.append(toast); // a dialog covers what is not in it
  timer = setTimeout(() => {
    toast.textContent = "";
    document.body.append(toast);
  }, 5000);
}

/** For screen readers alone: what the eye sees on a card. */
export function announce(text) {
  const line = document.createElement("p");
  line.textContent = text;
  news.append(line);
  while (news.children.length > 5) news.firstChild.remove();
}
