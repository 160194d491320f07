// The queue and the pools at a glance.

import { counted } from "./words.js";

const rows = document.getElementById("pools");
const dot = document.getElementById("load-dot");
const text = document.getElementById("load-text");
const unplaced = document.getElementById("unplaced");
const box = document.getElementById("load");

document.addEventListener("click", (event) => box.contains(event.target) || (box.open = false));
box.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !box.open) return;
  box.open = false;
  box.querySelector("summary").focus();
});

export function showGlance({ pools, unplaced: others }) {
  const running = pools.reduce((sum, pool) => sum + pool.running, 0);
  const waiting = pools.reduce((sum, pool) => sum + pool.waiting, 0) + others;
  dot.classList.toggle("busy", running > 0);
  text.textContent = running + waiting ? `${running} running, ${waiting} waiting` : "Nothing waits";
  rows.replaceChildren(...pools.map(row));
  unplaced.textContent = others ? `${counted(others, "video has", "videos have")} no pool yet.` : "";
}

function row(pool) {
  const line = document.createElement("tr");
  const name = line.appendChild(document.createElement("th"));
  name.scope = "row";
  name.textContent = pool.gpuMemory ? `${pool.name}, ${pool.gpuMemory}` : pool.name;
  for (const number of [pool.running, pool.waiting]) {
    line.appendChild(document.createElement("td")).textContent = number;
  }
  return line;
}
