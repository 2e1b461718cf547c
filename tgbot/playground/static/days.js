// Separators between the days of a conversation.

import { day, el } from "./dom.js";

// Puts one before the first message of each day. `views` are those of `list`, oldest first.
export function separateDays(list, views) {
  let before;
  for (const { element, message } of views) {
    const label = day(message.date);
    const previous = element.previousElementSibling;
    const found = previous?.classList.contains("day") ? previous : null;
    if (label === before) found?.remove();
    else if (!found) element.before(el("li", { class: "day" }, label));
    else if (found.textContent !== label) found.textContent = label;
    before = label;
  }
  // Of days whose messages have all gone.
  for (const orphan of list.querySelectorAll(":scope > .day:has(+ .day), :scope > .day:last-child")) orphan.remove();
}
