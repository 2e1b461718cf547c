// Rich messages: Telegram's blocks as elements.

import { el } from "./dom.js";
import { link, spoiler } from "./format.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", subscript: "sub", superscript: "sup", marked: "mark" };

export const richBlocks = (blocks) => blocks.map(block);

// The text of blocks, for a preview.
export const richPlain = (value) => {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(richPlain).join(" ");
  return richPlain(value.text ?? value.blocks ?? value.items ?? value.cells ?? value.expression ?? "");
};

function block(one) {
  switch (one.type) {
    case "heading": return el("p", { class: `rich-heading size-${one.size}` }, text(one.text));
    case "pre": return el("pre", { dataset: one.language ? { language: one.language } : {}, tabindex: 0 }, el("code", {}, text(one.text)));
    case "mathematical_expression": return el("pre", { tabindex: 0 }, el("code", {}, one.expression));
    case "divider": return el("hr");
    case "blockquote": return el("blockquote", {}, richBlocks(one.blocks));
    case "details": return el("details", {}, el("summary", {}, text(one.summary)), richBlocks(one.blocks));
    case "list": return el(one.items[0]?.value ? "ol" : "ul", { class: "rich-list", start: one.items[0]?.value },
      one.items.map((item) => el("li", {}, richBlocks(item.blocks))));
    case "table": return el("div", { class: "rich-table", tabindex: 0, role: "region", "aria-label": "Table" }, el("table", {}, el("tbody", {}, one.cells.map((row) =>
      el("tr", {}, row.map((cell) => el(cell.is_header ? "th" : "td", { style: { "text-align": cell.align } }, text(cell.text))))))));
    default: return el("p", {}, text(one.text ?? ""));
  }
}

function text(value) {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(text);
  if (value.type === "url") return [link(value.url, text(value.text))];
  if (value.type === "spoiler") return [spoiler(text(value.text))];
  if (value.type === "mathematical_expression") return [el("code", {}, value.expression)];
  return [el(TAGS[value.type] ?? "span", {}, text(value.text))];
}
