// Text with entities as elements. Entity offsets count UTF-16 units, which is how JavaScript counts as well.

import { el } from "./dom.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code" };
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);
const SAFE_URL = /^(https?|mailto|tel|tg):/i;

// Returns the nodes of text[start, end). `entities` are sorted outer first and nest properly.
export function formatted(text, entities = [], onCommand = () => {}) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return nodes(text, 0, text.length, sorted, onCommand);
}

function nodes(text, start, end, entities, onCommand) {
  const result = [];
  let at = start;
  for (let index = 0; index < entities.length; ) {
    const entity = entities[index];
    const stop = Math.min(entity.offset + entity.length, end);
    let next = index + 1;
    while (next < entities.length && entities[next].offset < stop) next += 1;
    const block = BLOCKS.has(entity.type); // it breaks the line by itself: the line break beside it would be a second
    if (entity.offset > at) result.push(text.slice(at, entity.offset - (block && text[entity.offset - 1] === "\n" ? 1 : 0)));
    const inner = nodes(text, entity.offset, stop, entities.slice(index + 1, next), onCommand);
    result.push(wrapped(entity, inner, text.slice(entity.offset, stop), onCommand));
    at = stop + (block && text[stop] === "\n" ? 1 : 0);
    index = next;
  }
  if (at < end) result.push(text.slice(at, end));
  return result;
}

function wrapped(entity, inner, text, onCommand) {
  switch (entity.type) {
    case "pre":
      return el("pre", { dataset: entity.language ? { language: entity.language } : {}, tabindex: 0 }, el("code", {}, inner));
    case "blockquote":
      return el("blockquote", {}, inner);
    case "expandable_blockquote":
      return folded(inner, text);
    case "spoiler":
      return spoiler(inner);
    case "text_link":
      return link(entity.url, inner);
    case "url":
      return link(/^[a-z]+:/i.test(text) ? text : `https://${text}`, inner);
    case "email":
      return link(`mailto:${text}`, inner);
    case "bot_command":
      return el("button", { type: "button", class: "command", onclick: () => onCommand(text) }, inner);
    case "mention": case "hashtag": case "cashtag": case "phone_number": case "text_mention":
      return el("span", { class: "tag" }, inner);
    default:
      return el(TAGS[entity.type] ?? "span", {}, inner);
  }
}

export function link(url, inner) {
  if (!SAFE_URL.test(url)) return el("span", {}, inner);
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, inner);
}

// Something that opens when it is pressed, by mouse or by keyboard.
function opening(element, open) {
  element.setAttribute("role", "button");
  element.tabIndex = 0;
  element.addEventListener("click", open);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
  });
  return element;
}

export function spoiler(inner) {
  const element = el("span", { class: "spoiler", "aria-label": "Hidden text, press to show" }, el("span", {}, inner));
  return opening(element, () => {
    element.classList.add("shown");
    for (const name of ["aria-label", "role", "tabindex"]) element.removeAttribute(name);
  });
}

function folded(inner, text) {
  const element = el("blockquote", {}, inner);
  if (text.split("\n").length <= 3 && text.length <= 200) return element;
  element.classList.add("folded");
  element.setAttribute("aria-expanded", "false");
  return opening(element, () => {
    element.classList.remove("folded");
    element.setAttribute("aria-expanded", "true");
  });
}
