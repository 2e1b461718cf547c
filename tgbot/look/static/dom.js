// Small helpers to build elements. Text only ever enters as text, never as HTML.

export const byId = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Paths of icons, all drawn in 24 x 24 by lines.
export const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  download: "M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14",
  edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
  react: "M12 21a9 9 0 110-18 9 9 0 010 18zM8.5 14.5a4.5 4.5 0 007 0M9 9.5v.5M15 9.5v.5",
  reply: "M10 8L5 12.5 10 17M5.5 12.5H14a5 5 0 015 5v1",
};

const SVG = "http://www.w3.org/2000/svg";

export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  svg.firstChild.setAttribute("d", path);
  return svg;
}

export const hue = (id) => String(((Math.abs(Number(id)) % 991) * 137) % 360);

export const initials = (name) =>
  name.split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();

// Made once: to make one takes 0.1 ms, and each message on screen asks for its time whenever another one comes.
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

export const clock = (seconds) => CLOCK.format(seconds * 1000);

const WITH_YEAR = { day: "numeric", month: "long", year: "numeric" };

// The day of a moment, as people call it: Today, Yesterday, 3 March, 3 March 2024.
export function day(seconds, now = new Date()) {
  const date = new Date(seconds * 1000);
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === now.toDateString()) return "Today";
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  const { year, ...thisYear } = WITH_YEAR;
  return date.toLocaleDateString([], date.getFullYear() === now.getFullYear() ? thisYear : { ...thisYear, year });
}

// The time of a moment of today, else its day.
export function clockOrDay(seconds) {
  const date = new Date(seconds * 1000);
  if (date.toDateString() === new Date().toDateString()) return clock(seconds);
  return date.toLocaleDateString([], { day: "numeric", month: "short" });
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1048576 ? `${(size / 1024).toFixed(1)} kB` : `${(size / 1048576).toFixed(1)} MB`;
}
