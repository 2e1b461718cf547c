// The bot's life: its process, the network's faults, the pending table, what it says.

import { clearFaults, post } from "./api.js";
import { byId, clock, duration, el } from "./dom.js";

const STATES = ["queued", "claimed", "asking", "held", "done", "stopped", "failed", "dead", "dropped"];
const ALWAYS = new Set(["queued", "claimed", "held", "done"]);
const LINES_MAX = 200;
const SENDS = ["sendMessage", "editMessageText", "editMessageReplyMarkup", "setMessageReaction"];

// How the agents that come with the bot are called, and what to try with each.
const AGENTS = {
  demo: { label: "demo (scripted, no key)", hint: "Say hello: it answers with what to try." },
  echo: { label: "echo", hint: "Send “sleep 30 hello” and three more, kill it, start it: every answer comes, once, in order." },
};
const HINT = "Send three messages, kill it, start it: every answer comes, once, in order.";

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
    byId("agent").addEventListener("change", (event) => this.choose(event.target.value));
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

  act(act) {
    return this.asked(act, `bot/${act}`);
  }

  choose(agent) {
    return this.asked("choose", `agents/${encodeURIComponent(agent)}`);
  }

  async asked(waiting, path) {
    this.waiting = waiting;
    this.showLife();
    try {
      await post(path);
    } catch (error) {
      this.on.refused(error);
    } finally {
      this.waiting = null;
      this.showLife();
      this.showAgent();
    }
  }

  setBot(bot) {
    if (bot.ended_by?.startsWith("its own end") && !bot.running) byId("says").open = true; // it says why there
    this.bot = bot;
    this.showLife();
    this.showAgent();
  }

  // Not every second, as the rest of its life: that would close an open list of choices.
  showAgent() {
    byId("agent").value = this.bot.agent;
    byId("agent-hint").textContent = AGENTS[this.bot.agent]?.hint ?? HINT;
  }

  setAgents(names) {
    byId("agent").replaceChildren(...names.map((name) => el("option", { value: name }, AGENTS[name]?.label ?? name)));
  }

  showLife() {
    const { running, pid, since, ended_by: endedBy } = this.bot;
    document.body.dataset.bot = running ? "running" : "dead";
    const ending = this.waiting === "stop" || this.waiting === "choose";
    const word = ending && running ? "stopping" : running ? "running" : "dead";
    byId("life").textContent = running ? `${word} · pid ${pid}` : `not running`;
    byId("life-short").textContent = word;
    byId("toggle-panel").setAttribute("aria-label", `The bot is ${word}. Show its life`);
    const age = since ? duration(Date.now() / 1000 - since) : "";
    byId("life-detail").textContent = running ? `since ${clock(since)} (${age})` : endedBy ? `ended by ${endedBy}, ${age} ago` : "";
    byId("kill").disabled = !running;
    byId("stop").disabled = !running || ending;
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
