// What a model can draw, asked of what was typed. The gateway asks the same once more, and decides.

const WHOLE = /^[+-]?\d{1,20}$/;
const BROKEN = /^[+-]?\d{1,20}([.,]\d{0,20})?$/;

/** What is wrong with the fields, by their names; `model` and `form` as the gateway tells them. */
export function problemsIn(fields, model, form) {
  const problems = {};
  for (const [name, text] of Object.entries(fields)) {
    const check = CHECKS[name];
    const problem = check && (text || name === "prompt") ? check(String(text), model, form, name) : "";
    if (problem) problems[name] = problem;
  }
  return problems;
}

/** "64 to 512, a multiple of 8; 64 if left empty". */
export function sizeHint({ grid, limits, defaults }) {
  const frames = grid.offset ? `${grid.frames}n+${grid.offset}` : grid.frames > 1 ? `a multiple of ${grid.frames}` : "";
  const size = `Width and height are multiples of ${grid.size}, at most ${limits.maxWidth}×${limits.maxHeight}.`;
  return `${size} At most ${limits.maxFrames} frames${frames ? `, ${frames}` : ""}.`;
}

const CHECKS = {
  prompt: (text, _, form) =>
    text.trim() ? tooLong(text, form) : "Say what the video shows.",
  negativePrompt: (text, _, form) => tooLong(text, form),
  width: (text, model) => whole(text, 64, model.limits.maxWidth, "draws") || multiple(text, model.grid.size, 0, 64),
  height: (text, model) => whole(text, 64, model.limits.maxHeight, "draws") || multiple(text, model.grid.size, 0, 64),
  numFrames: (text, model) =>
    whole(text, 1, model.limits.maxFrames, "draws") || multiple(text, model.grid.frames, model.grid.offset, 1),
  numInferenceSteps: (text, model) => whole(text, 1, model.limits.maxInferenceSteps, "takes"),
  fps: (text) => whole(text, 1, 60),
  guidanceScale: (text) => broken(text, 1, 20),
  strength: (text) => broken(text, 0, 1) || (Number(text.replace(",", ".")) === 0 ? "It must be above 0." : ""),
  seed: (text, _, form) =>
    !WHOLE.test(text.trim()) ? notWhole(text)
      : BigInt(text.trim()) < 0n || BigInt(text.trim()) > BigInt(form.mostSeed) ? `It must be 0 to ${form.mostSeed}.` : "",
  initImage: (text) => address(text),
  endImage: (text) => address(text),
  initVideo: (text) => address(text),
};

function whole(text, least, most, does) {
  if (!WHOLE.test(text.trim())) return notWhole(text);
  const value = Number(text);
  if (value < least) return `It is ${value}; at least ${least} is needed.`;
  if (value > most) return does ? `It is ${value}; this model ${does} at most ${most}.` : `It is ${value}; at most ${most} is possible.`;
  return "";
}

function multiple(text, step, offset, least) {
  const value = Number(text);
  if ((value - offset) % step === 0) return "";
  const below = Math.floor((value - offset) / step) * step + offset;
  const rule = offset ? `${step}n+${offset}` : `a multiple of ${step}`;
  return `It is ${value}; this model needs ${rule}, try ${below >= least ? below : below + step}.`;
}

function broken(text, least, most) {
  if (!BROKEN.test(text.trim())) return `It must be a number, not “${text}”.`;
  const value = Number(text.replace(",", "."));
  return value < least || value > most ? `It must be ${least} to ${most}.` : "";
}

function address(text) {
  return /^(https?|store):\/\/\S+$/.test(text.trim()) ? "" : "It must begin with https://, http:// or store://.";
}

function tooLong(text, { promptCharacters: most }) {
  const { length } = [...text];
  return length > most ? `It has ${length} characters; at most ${most} are read.` : "";
}

const notWhole = (text) => `It must be a whole number, not “${text}”.`;
