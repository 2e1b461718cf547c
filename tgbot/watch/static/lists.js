// The totals and the lists of rows. What has not changed stays the same element, so the focus stays where it is.

import { byId, clock, clockOrDay, duration, el } from "./dom.js";

const RETRY = { name: "retry", label: "Try again" };
const DROP = { name: "drop", label: "Drop", question: "It will not be answered." };
const STOP = { name: "stop", label: "Stop", question: "What runs ends, and what waits behind it is on hold." };
const RUN_NEXT = { name: "run_next", label: "Run next" };
const DROP_WAITING = { name: "drop_waiting", label: "Drop", question: "It will not be answered." };
const RUN_HELD = { name: "run_held", label: "Run all in this chat" };
const DROP_HELD = { name: "drop_held", label: "Drop all in this chat", question: "None of what is on hold in this chat will be answered." };
const RESEND = { name: "resend", label: "Send again" };

const KINDS = {
  running: { word: "Running", actions: [STOP] },
  queued: { word: "Waiting", actions: [RUN_NEXT, DROP_WAITING] },
  asking: { word: "Asking", hint: "The agent waits until somebody presses a button.", actions: [STOP] },
  held: { word: "On hold", hint: "/stop holds it until somebody runs or drops it.", actions: [RUN_NEXT, DROP_WAITING] },
  dead: { word: "Given up", actions: [RETRY, DROP], alarming: true },
  unsent: { word: "Unsent", hint: "Answers that are on disk, and not on screen yet.", actions: [] },
  parked: { word: "Put aside", hint: "Answers that Telegram refused, or that were too old.", actions: [RESEND], alarming: true },
};

const DONE = {
  retry: "tried again", drop: "dropped", stop: "stopped", run_next: "put first", drop_waiting: "dropped", run_held: "ran all on hold, with",
  drop_held: "dropped all on hold, with", resend: "sent again",
};

export class Lists {
  constructor(act) {
    this.act = act;
    this.kept = new Map(); // what an element shows -> the element
  }

  show({ sections, audit, workers, worker: me, role }, chat) {
    this.fresh = new Map();
    const whose = new Map(workers.flatMap((one) => one.row_ids.map((row) => [row, one.instance_id])));
    for (const entry of sections.running.entries) entry.worker = whose.get(entry.row_id);
    place(byId("totals"), Object.entries(KINDS).map(([kind, one]) => this.total(kind, one, sections[kind].total)));
    const shown = Object.keys(KINDS).filter((kind) => sections[kind].total);
    place(byId("sections"), shown.map((kind) => this.section(kind, sections[kind], role === "admin")));
    byId("nothing").hidden = shown.length > 0;
    byId("nothing").textContent = chat ? `Nothing of ${chat} runs, waits or needs somebody.` : "Nothing runs, waits or needs somebody.";
    place(byId("at-work"), workers.map((one) => this.once(["worker", one, one.instance_id === me], () => atWork(one, one.instance_id === me))));
    byId("workers").hidden = !workers.length;
    place(byId("noted"), audit.map((one) => this.once(["noted", one], () => noted(one))));
    byId("audit").hidden = !audit.length;
    this.kept = this.fresh;
    this.tick();
  }

  // Says anew how old everything is.
  tick() {
    for (const time of document.querySelectorAll("[data-since]")) time.textContent = duration(Date.now() / 1000 - Number(time.dataset.since));
  }

  once(key, make) {
    const text = JSON.stringify(key);
    const element = this.kept.get(text) ?? make();
    this.fresh.set(text, element);
    return element;
  }

  total(kind, { word, alarming }, total) {
    return this.once(["total", kind, total], () => {
      const mood = total && alarming ? "alarming" : total && kind === "running" ? "busy" : "";
      const [tag, link] = total ? ["a", { href: `#${kind}` }] : ["div", {}];
      return el("li", {}, el(tag, { class: `total ${mood}`, ...link }, el("b", {}, String(total)), el("span", {}, word)));
    });
  }

  section(kind, { total, entries }, mayAct) {
    const { word, hint, actions } = KINDS[kind];
    const section = this.once(["section", kind], () => el("section", { class: "card", id: kind, "aria-labelledby": `${kind}-title` },
      el("h2", { id: `${kind}-title`, tabindex: "-1" }, word, " ", el("span", { class: "badge" })),
      hint && el("p", { class: "muted" }, hint), el("ol", { class: "entries" }), el("p", { class: "muted more" })));
    section.querySelector(".badge").textContent = String(total);
    section.querySelector(".more").textContent = total > entries.length ? `and ${total - entries.length} more` : "";
    const ofChat = kind === "held" ? firstOfMany(entries) : new Set();
    place(section.querySelector("ol"), entries.map((entry) => {
      const all = !mayAct ? [] : ofChat.has(entry.row_id) ? [...actions, RUN_HELD, DROP_HELD] : actions;
      return this.once([kind, entry, all], () => this.entry(entry, all));
    }));
    return section;
  }

  entry(entry, actions) {
    const about = entry.text || (entry.name ? `a message in ${entry.name}` : `row ${entry.row_id}`);
    const buttons = actions.map((action) => {
      const button = el("button", { type: "button", class: action.question ? "danger" : "", "aria-label": `${action.label}: ${about.slice(0, 60)}` }, action.label);
      button.addEventListener("click", () => this.act(action, entry, button));
      return button;
    });
    return el("li", {},
      el("div", { class: "entry" },
        entry.text ? el("p", { class: "words" }, entry.text) : el("p", { class: "words none" }, "no text"),
        el("p", { class: "facts muted" }, ...facts(entry))),
      buttons.length ? el("div", { class: "actions" }, buttons) : null);
  }
}

// The first rows on hold of each chat that has several.
function firstOfMany(entries) {
  const first = new Map();
  const many = new Set();
  for (const { session_key: session, row_id: row } of entries) {
    if (first.has(session)) many.add(first.get(session));
    else first.set(session, row);
  }
  return many;
}

function* facts(entry) {
  if (entry.why) yield el("span", { class: "why" }, `${entry.why} · `);
  if (entry.name) yield `${entry.name} · `;
  if (entry.chat_id !== null) yield* [el("a", { href: `/?chat=${entry.chat_id}` }, `chat ${entry.chat_id}`), " · "];
  if (entry.user_id !== null && entry.user_id !== entry.chat_id) yield* [el("a", { href: `/?chat=${entry.user_id}` }, `user ${entry.user_id}`), " · "];
  if (entry.worker !== undefined) yield `worker ${entry.worker} · `;
  yield `row ${entry.row_id}${entry.part === null ? "" : `, part ${entry.part}`} · `;
  if (entry.attempt > 1) yield `attempt ${entry.attempt} · `;
  if (entry.state === "stopped" && entry.part === null) yield "stopping · ";
  yield el("span", { "data-since": entry.since });
}

function atWork({ instance_id: id, host, pid, started_at: since, row_ids: rows, chats, lease_seconds: lease, polls }, isMe) {
  const turns = `turns ${rows.length}`;
  return el("li", {}, el("div", { class: "entry" },
    el("p", {}, `Worker ${id} on ${host}${polls ? ", polls" : ""}${isMe ? ", shows this page" : ""}`),
    el("p", { class: "facts muted" }, ...(lease === 0 ? [el("span", { class: "why" }, `gone · ${turns}, which another worker takes over`)]
      : [`${turns} · chats ${chats} · lease ${lease} s · pid ${pid} · up `, el("span", { "data-since": since })]))));
}

function noted({ at, role, action, row_id: row, chat_id: chat }) {
  const where = chat === null ? "" : ` in chat ${chat}`;
  return el("li", {}, el("p", { class: "entry" }, `${DONE[action] ?? action} row ${row}${where}`.replace(/^./, (first) => first.toUpperCase())),
    el("p", { class: "muted" }, `${clockOrDay(at) === clock(at) ? "" : `${clockOrDay(at)}, `}${clock(at)} · ${role}`));
}

// Makes these the children of an element, and moves only what is not in its place. If the focus goes, the heading gets it.
function place(parent, children) {
  const focused = parent.contains(document.activeElement);
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  if (focused && !parent.contains(document.activeElement)) (parent.closest("section")?.querySelector("h2") ?? document.querySelector("#chat")).focus();
}
