// The form: offers what the chosen model can draw, and says by the field what it cannot.

import { add } from "./gallery.js";
import { problemsIn, sizeHint } from "./limits.js";
import { say } from "./say.js";
import { make, read } from "./server.js";

const EXAMPLES = ["A red circle moving right", "A blue square moving up", "A small green triangle moving left"];
const SUPPORT = { Exact: "As it is", Adapted: "In a form that fits the model", Experimental: "Experimental: draws worse", Replaced: "Replaced by the nearest" };

const form = document.getElementById("make");
const alertBox = document.getElementById("make-alert");
const button = document.getElementById("make-button");
const field = (name) => form.elements.namedItem(name);
const place = (name) => form.querySelector(`[data-field="${name}"]`);

const models = new Map();
let all = null;
let model = null;

/** Fetches the models and fills the form. */
export async function startComposer() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("reset", () => setTimeout(() => { clear(); choose(); }));
  form.addEventListener("input", (event) => clearProblem(event.target.closest("[data-field]")));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  field("modelId").addEventListener("change", choose);
  for (const name of ["initImage", "endImage", "initVideo", "strength", "mode"]) {
    field(name).addEventListener("change", showSchedulers);
  }
  field("scheduler").addEventListener("change", explainScheduler);
  for (const text of EXAMPLES) {
    const example = document.createElement("button");
    example.type = "button";
    example.className = "second small";
    example.textContent = text;
    example.addEventListener("click", () => begin(text));
    document.getElementById("examples").append(example);
  }
  all = await read("form");
  field("modelId").replaceChildren(...all.models.map(({ id, isReady }) => new Option(isReady ? id : `${id} (on its way)`, id)));
  document.getElementById("balance-field").hidden = !all.hasPools;
  await choose();
}

/** Fill the form with a request that was made before. */
export async function use(request) {
  form.reset();
  await new Promise((done) => setTimeout(done));
  if (all.models.some(({ id }) => id === request.modelId)) field("modelId").value = request.modelId;
  await choose();
  for (const [name, value] of Object.entries(request)) {
    const input = field(name);
    if (!input || name === "modelId" || name === "loras") continue;
    if (input.type === "checkbox") input.checked = value;
    else input.value = DEFAULTS[name] === value ? "" : value;
  }
  showSchedulers(request.scheduler);
  for (const { source, weight } of request.loras ?? []) {
    const row = [...form.querySelectorAll(".lora")].find((each) => each.dataset.source === source);
    if (!row) continue;
    row.querySelector("[type=checkbox]").checked = true;
    row.querySelector("[type=text]").value = weight;
  }
  document.getElementById("more-settings").open = true;
  field("prompt").focus();
  form.scrollIntoView({ block: "nearest" });
}

const DEFAULTS = { schedulerPolicy: "Nearest", mode: "Auto", speed: "Exact" };

function begin(text) {
  field("prompt").value = text;
  field("prompt").focus();
}

async function choose() {
  const id = field("modelId").value;
  const named = all.models.find((each) => each.id === id);
  document.getElementById("modelId-hint").textContent = named?.whyNot || named?.description || "";
  model = null;
  if (named?.isReady) {
    try {
      if (!models.has(id)) models.set(id, await read(`models/${encodeURIComponent(id)}`));
    } catch (error) {
      return say(error.message);
    }
    if (field("modelId").value !== id) return; // another one was chosen meanwhile
    model = models.get(id);
  }
  offer();
}

/** Only what this model has. Of one that is on its way nothing is known yet. */
function offer() {
  const defaults = model?.defaults ?? {};
  for (const name of ["width", "height", "numFrames", "numInferenceSteps", "guidanceScale", "fps"]) {
    field(name).placeholder = defaults[name] ?? "";
  }
  document.getElementById("size-hint").textContent = model ? `${sizeHint(model)} Empty: the model's own.` : "";
  const starts = model?.starts ?? [];
  const can = (...wanted) => !model || wanted.some((start) => starts.includes(start));
  show("initImage", can("FirstFrame", "BothFrames", "Video"));
  show("endImage", can("LastFrame", "BothFrames"));
  show("initVideo", can("Video"));
  show("strength", can("Video"));
  show("mode", can("Video") && can("FirstFrame", "BothFrames"));
  document.getElementById("start-field").hidden = !can("FirstFrame", "LastFrame", "BothFrames", "Video");
  show("speed", !model || model.hasSpeed);
  show("enhancePrompt", !model || model.enhancesPrompts);
  showLoras(model?.loras ?? []);
  showSchedulers();
}

function show(name, wanted) {
  place(name).hidden = !wanted;
}

function showLoras(loras) {
  document.getElementById("loras-field").hidden = loras.length === 0;
  document.getElementById("loras").replaceChildren(...loras.map(({ name, description }, number) => {
    const row = document.createElement("div");
    row.className = "lora";
    row.dataset.source = name;
    const box = Object.assign(document.createElement("input"), { type: "checkbox", id: `lora-${number}` });
    const label = Object.assign(document.createElement("label"), { htmlFor: box.id, textContent: name, title: description });
    const weight = Object.assign(document.createElement("input"), { type: "text", inputMode: "decimal", placeholder: "1" });
    weight.setAttribute("aria-label", `Weight of ${name}`);
    row.append(box, label, weight);
    return row;
  }));
}

/** What the video starts from decides what a scheduler can do. */
function start() {
  const has = (name) => !place(name).hidden && field(name).value.trim();
  const restyles = has("initVideo") || (has("initImage") && (has("strength") || field("mode").value === "Restyle"));
  if (restyles) return "Video";
  if (has("initImage")) return has("endImage") ? "BothFrames" : model.starts.includes("FirstFrame") ? "FirstFrame" : "Video";
  return has("endImage") ? "LastFrame" : "Text";
}

function rows() {
  return model ? model.schedulers[start()] ?? model.schedulers.Text : [];
}

function showSchedulers(wanted) {
  const select = field("scheduler");
  const chosen = typeof wanted === "string" ? wanted : select.value;
  const groups = Object.entries(SUPPORT).map(([support, label]) => {
    const group = Object.assign(document.createElement("optgroup"), { label });
    for (const row of rows().filter((each) => each.support === support)) group.append(new Option(row.name, row.name));
    return group;
  });
  const own = model ? `The model's own (${model.defaults.scheduler})` : "The model's own";
  select.replaceChildren(new Option(own, ""), ...groups.filter((group) => group.children.length));
  select.value = rows().some((row) => row.name === chosen) ? chosen : "";
  explainScheduler();
}

function explainScheduler() {
  const row = rows().find((each) => each.name === field("scheduler").value);
  const parts = [];
  if (row?.support === "Adapted") parts.push("The same sampler, in a form that fits the model.");
  if (row?.support === "Experimental") parts.push("It draws, but measurably worse than the others.");
  if (row?.instead) parts.push(`The model cannot use it; ${row.instead} is used instead.`);
  if (row?.leastSteps > 1) parts.push(`It needs at least ${row.leastSteps} steps.`);
  document.getElementById("scheduler-hint").textContent = parts.join(" ");
}

/** What was filled in and can be seen. */
function filled() {
  const request = { modelId: field("modelId").value };
  for (const box of form.querySelectorAll("[data-field]")) {
    const name = box.dataset.field;
    const input = field(name);
    if (box.closest("[hidden]") || name === "loras" || !input) continue;
    if (input.type === "checkbox") request[name] = input.checked;
    else if (input.value.trim()) request[name] = input.value;
  }
  const loras = [...form.querySelectorAll("#loras-field:not([hidden]) .lora")]
    .filter((row) => row.querySelector("[type=checkbox]").checked)
    .map((row) => ({ source: row.dataset.source, weight: Number(row.querySelector("[type=text]").value.replace(",", ".") || 1) }));
  if (loras.length) request.loras = loras;
  return request;
}

async function submit() {
  if (button.getAttribute("aria-disabled") === "true") return;
  clear();
  const request = filled();
  const wrong = model ? problemsIn({ prompt: "", ...request }, model, all) : {};
  if (Object.keys(wrong).length) {
    return complain(Object.entries(wrong).map(([name, message]) => ({ field: name, message })));
  }
  button.setAttribute("aria-disabled", "true");
  try {
    add(await make("videos", request));
    say("On its way.");
  } catch (error) {
    complain(error.problems?.length ? error.problems : [{ field: null, message: error.message }]);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** Each problem by its field; those of no field, or of one that is not shown, at the top. */
function complain(problems) {
  const others = [];
  let first = null;
  for (const { field: name, message } of problems) {
    const box = name && place(name);
    if (!box || box.closest("[hidden]")) {
      others.push(sentence(message));
      continue;
    }
    box.closest("details")?.setAttribute("open", "");
    showProblem(box, inWords(name, message));
    first ??= inputOf(box);
  }
  alertBox.textContent = others.join("\n") || (problems.length > 1 ? `${problems.length} fields need another value.` : "");
  alertBox.hidden = !alertBox.textContent;
  (first ?? alertBox).focus();
}

/** The fields' names are the API's; on the page they have others. */
function inWords(name, message) {
  const label = place(name).querySelector("label, legend").textContent;
  const text = message.startsWith("It ") && place(name).closest(".three") ? `${label}: i${message.slice(1)}` : message;
  return sentence(text.replace(new RegExp(`^${name}\\b`), label));
}

/** In a row of small fields a problem has the whole row. */
function showProblem(box, message) {
  clearProblem(box);
  const input = inputOf(box);
  const line = Object.assign(document.createElement("p"), { className: "problem", id: problemId(box), textContent: message });
  (box.closest(".three") ?? box).append(line);
  if (!input) return;
  input.dataset.hint ??= input.getAttribute("aria-describedby") ?? "";
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", `${line.id} ${input.dataset.hint}`.trim());
}

function clearProblem(box) {
  const line = box && document.getElementById(problemId(box));
  if (!line) return;
  line.remove();
  const input = inputOf(box);
  input?.removeAttribute("aria-invalid");
  if (input?.dataset.hint) input.setAttribute("aria-describedby", input.dataset.hint);
  else input?.removeAttribute("aria-describedby");
}

const inputOf = (box) => box.querySelector("input, select, textarea");
const problemId = (box) => `${box.dataset.field}-problem`;

function clear() {
  alertBox.hidden = true;
  alertBox.textContent = "";
  form.querySelectorAll("[data-field]").forEach(clearProblem);
}

const sentence = (text) => `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
