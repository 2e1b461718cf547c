// What the page calls things: plain words, and behind each what the bot's own code and log call it.

import { el } from "./dom.js";

// A row of the pending table. `name` is the bot's word for the state, if another is shown.
const STATES = {
  queued: { word: "waits", hint: "It runs when the messages before it are done." },
  claimed: { word: "running", hint: "The agent works on it." },
  interrupted: { word: "interrupted", name: "claimed", hint: "The bot ended in the middle of it. The next start runs it again." },
  asking: { word: "asks", hint: "It waits until somebody presses a button." },
  held: { word: "on hold", hint: "/stop put it on hold. /resume runs it, /drop forgets it." },
  joined: { word: "joined", hint: "It is answered together with another message." },
  sending: { word: "answered, sending", name: "done, outbox not empty", hint: "The answer is on disk, and not all of it on screen yet." },
  done: { word: "done", hint: "Its answer is on screen." },
  stopped: { word: "stopped", hint: "Somebody ended it." },
  failed: { word: "failed", hint: "The agent could not answer, and the chat was notified." },
  dead: { word: "given up", hint: "The bot crashed on it again and again." },
  dropped: { word: "dropped", hint: "It is not given to the agent any more." },
};

export const ORDER = ["queued", "claimed", "asking", "held", "sending", "done", "stopped", "failed", "dead", "dropped"];

// Returns {word, hint}: how a state is called, and what that means. A claimed row runs only while the bot does.
export function wordsOf(state, running) {
  const key = state === "claimed" && !running ? "interrupted" : state;
  const { word, name = key, hint } = STATES[key] ?? { word: key, hint: "" };
  return { word, hint: name === word ? hint : `${hint} (${name})` };
}

// What each word means, for those who can't hover.
export function glossary() {
  return ["queued", "claimed", "interrupted", "asking", "held", "sending", "done", "dead"].flatMap((key) => {
    const { word, hint } = wordsOf(key, key === "claimed");
    return [el("dt", { class: `state ${key}` }, word), el("dd", {}, hint)];
  });
}

const ROLES = {
  owner: { word: "owner", hint: "Owns the bot: decides who may talk to it." },
  user: { word: "may talk", hint: "The owner let them in." },
  group: { word: "may talk", hint: "Everyone in this group may talk to the bot here." },
  asked: { word: "asks", hint: "Has sent /pair, and waits for the owner." },
  denied: { word: "denied", hint: "The owner said no." },
  stranger: { word: "stranger", hint: "May not talk to the bot; /pair asks its owner." },
};

// The badge of somebody's role; `role` is the bot's word for it, undefined where it knows none.
export function roleBadge(role) {
  const key = ROLES[role] ? role : "stranger";
  return el("span", { class: `role ${key}`, title: ROLES[key].hint }, ROLES[key].word);
}
