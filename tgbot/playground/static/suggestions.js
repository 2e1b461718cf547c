// What to try in an empty chat: one press sends it.

import { el, hue, initials } from "./dom.js";

const BY_AGENT = {
  demo: ["hello", "what time is it", "draw a chart of 3 5 8 13", "remember that my cat is called Tom", "pay 20 € to Ann", "work for a minute"],
  echo: ["hello", "sleep 30 hello", "/status", "/help"],
};
const BY_ANY = ["hello", "/status", "/help"];

// `account` is the bot's User; in a group it must be named. `say(text)` sends one.
export function suggestions(agent, account, inGroup, say) {
  const texts = (BY_AGENT[agent] ?? BY_ANY).map((text) => (inGroup && !text.startsWith("/") ? `@${account.username} ${text}` : text));
  return [
    el("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": hue(account.id) } }, initials(account.first_name)),
    el("p", {}, inGroup ? `In a group ${account.first_name} answers when it is named. Write something, or try:` : "Nothing here yet. Write something, or try:"),
    el("ul", {}, texts.map((text) => el("li", {}, el("button", { type: "button", class: "suggestion", onclick: () => say(text) }, text)))),
  ];
}
