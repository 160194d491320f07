// Numbers and times in words. Knows nothing of the page.

const LENGTHS = [
  ["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const full = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** How long ago that was: "3 minutes ago". */
export function ago(time, now = Date.now()) {
  const seconds = (now - Date.parse(time)) / 1000;
  for (const [unit, length] of LENGTHS) {
    if (seconds >= length) return relative.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

/** The date and time, for who wants it exactly. */
export function exactly(time) {
  return full.format(new Date(time));
}

/** A time that is not known exactly: "about 2 min". */
export function about(seconds) {
  if (seconds < 60) return `about ${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

/** The length of a video: "2.0 s". */
export function length(seconds) {
  return seconds === null || seconds === undefined ? "" : `${seconds.toFixed(1)} s`;
}

/** A count with its noun. */
export function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

export function shortened(text, most = 80) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
