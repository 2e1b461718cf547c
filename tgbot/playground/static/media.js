// Pictures, recordings and files of a message, several as one album.

import { fileUrl } from "./api.js";
import { bytes, el, icon, ICONS } from "./dom.js";

const VISUAL = ["photo", "video", "animation"];
const KINDS = [...VISUAL, "document", "voice", "audio"];

export const mediaKey = (messages) => messages.map((message) => KINDS.map((kind) => message[kind]));

export const isPicture = (message) => Boolean(message.photo);

// The elements of what the messages carry: those of an album share a grid, or a list if they are files.
export function mediaOf(messages) {
  const shown = messages.filter((message) => KINDS.some((kind) => message[kind]));
  if (!shown.every(isPicture) || shown.length < 2) return shown.map((message) => medium(message));
  return [el("div", { class: `album album-${shown.length % 3}` }, shown.map((message) => picture(message)))];
}

function medium(message) {
  if (message.photo) return picture(message);
  for (const kind of ["voice", "audio"])
    if (message[kind]) return el("audio", { controls: true, preload: "none", src: fileUrl(message[kind].file_id), "aria-label": message[kind].file_name ?? "Voice note" });
  return file(message.document ?? message.video ?? message.animation);
}

function picture(message) {
  const photo = message.photo.at(-1);
  const alt = message.caption ? `Picture: ${message.caption}` : "Picture";
  return el("img", { class: "picture", src: fileUrl(photo.file_id), width: photo.width, height: photo.height, alt, loading: "lazy",
    style: { "aspect-ratio": `${photo.width} / ${photo.height}` } });
}

function file(about) {
  return el("a", { class: "file", href: fileUrl(about.file_id), download: about.file_name },
    el("span", { class: "glyph" }, icon(ICONS.download)),
    el("span", {}, el("b", {}, about.file_name ?? "File"), el("span", { class: "size" }, bytes(about.file_size))));
}
