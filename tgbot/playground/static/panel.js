// The bot's life: its process, the network's faults, the pending table, what it says.

import { clearFaults, post } from "./api.js";
import { byId, clock, duration, el } from "./dom.js";

const STATES = ["queued", "claimed", "held", "done", "stopped", "failed", "dead", "dropped"];
const ALWAYS = new Set(["queued", "claimed", "held", "done"]);
const LINES_MAX = 200;
const SENDS = ["sendMessage", "editMessageText", "editMessageReplyMarkup", "setMessageReaction"];

// What each switch does, for the server and in words.
const FAULTS = {
  none: { hint: "", rules: () => [] },
  cut: {
    hint: "A third of all calls are cut, before or after they took effect.",
    rules: () => ["cut_before", "cut_after"].map((kind) => ({ kind, probability: 0.17, seed: Math.floor(Math.random() * 1e6) })),
  },
  429: {
    hint: "Every third send is refused: “too many requests”, wait 3 s.",
    rules: () => SENDS.map((method) => ({ kind: "429", method, probability: 0.33, retry_after: 3 })),
  },
  slow: { hint: "Every answer takes 2 s more.", rules: () => [{ kind: "delay", seconds: 2 }] },
};
const SWITCH_OF_KIND = { cut_before: "cut", cut_after: "cut", late: "cut", 429: "429", delay: "slow" };

// How a state is called: a claimed row runs only while the bot does.
export const wordOf = (state, running) => (state === "claimed" ? (running ? "running" : "interrupted") : state);

export class Panel {
  // `on.refused(error)` tells the person what went wrong.
  constructor(on) {
    this.on = on;
    this.bot = { running: false };
    for (const act of ["kill", "stop", "start"]) byId(act).addEventListener("click", () => this.act(act));
    byId("faults").addEventListener("change", (event) => this.setFault(event.target.value));
    byId("toggle-panel").addEventListener("click", () => this.open(true));
    byId("close-panel").addEventListener("click", () => this.open(false));
    byId("panel").addEventListener("keydown", (event) => { if (event.key === "Escape") this.open(false); });
    setInterval(() => this.showLife(), 1000);
  }

  open(open) {
    byId("panel").classList.toggle("open", open);
    byId("toggle-panel").setAttribute("aria-expanded", String(open));
    (open ? byId("close-panel") : byId("toggle-panel")).focus();
  }

  async act(act) {
    this.waiting = act;
    this.showLife();
    try {
      await post(`bot/${act}`);
    } catch (error) {
      this.on.refused(error);
    } finally {
      this.waiting = null;
      this.showLife();
    }
  }

  setBot(bot) {
    this.bot = bot;
    this.showLife();
  }

  showLife() {
    const { running, pid, since, ended_by: endedBy } = this.bot;
    document.body.dataset.bot = running ? "running" : "dead";
    const word = this.waiting === "stop" && running ? "stopping" : running ? "running" : "dead";
    byId("life").textContent = running ? `${word} · pid ${pid}` : `not running`;
    byId("life-short").textContent = word;
    byId("toggle-panel").setAttribute("aria-label", `The bot is ${word}. Show its life`);
    const age = since ? duration(Date.now() / 1000 - since) : "";
    byId("life-detail").textContent = running ? `since ${clock(since)} (${age})` : endedBy ? `ended by ${endedBy}, ${age} ago` : "";
    byId("kill").disabled = !running;
    byId("stop").disabled = !running || this.waiting === "stop";
    byId("start").disabled = running || this.waiting === "start";
  }

  async setFault(name) {
    byId("fault-hint").textContent = FAULTS[name].hint;
    try {
      await clearFaults();
      await post("faults", FAULTS[name].rules());
    } catch (error) {
      this.on.refused(error);
    }
  }

  showFaults(rules) {
    const name = rules.length ? SWITCH_OF_KIND[rules[0].kind] ?? "none" : "none";
    byId("faults").querySelector(`input[value="${name}"]`).checked = true;
    byId("fault-hint").textContent = FAULTS[name].hint;
  }

  // `rows` are those of the chat on screen, newest first, each with its `word`.
  showPending(counts, rows) {
    byId("counts").replaceChildren(...STATES.filter((state) => ALWAYS.has(state) || counts[state]).map((state) =>
      el("div", {}, el("dt", { class: `state ${state}` }, wordOf(state, this.bot.running)), el("dd", {}, String(counts[state] ?? 0)))));
    const holder = rows.find((row) => row.held_since);
    byId("guard").textContent = holder
      ? `This chat's guard: turn ${holder.token}, row ${holder.id}, since ${clock(holder.held_since)}.`
      : "Nobody holds this chat's guard.";
    byId("rows").replaceChildren(...rows.map((row) =>
      el("tr", { class: row.held_since ? "guarded" : "" },
        el("td", {}, String(row.id)), el("td", {}, row.text ?? "(file)"),
        el("td", {}, el("span", { class: `state ${row.state}` }, row.word)), el("td", {}, String(row.attempt)))));
  }

  setLines(lines) {
    this.lines = lines.slice(-LINES_MAX);
    const element = byId("lines");
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 20;
    element.textContent = this.lines.join("\n");
    if (atEnd) element.scrollTop = element.scrollHeight;
  }

  addLine(line) {
    this.setLines([...(this.lines ?? []), line]);
  }
}
