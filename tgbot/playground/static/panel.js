// The bot's side: its process, who may talk to it, the network's faults, what it has to do, what it says.

import { post, putFaults } from "./api.js";
import { byId, clock, duration, el } from "./dom.js";
import { glossary, ORDER, wordsOf } from "./words.js";

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
    hint: "Every third send is refused: “429 Too Many Requests”, wait 3 s.",
    rules: () => SENDS.map((method) => ({ kind: "429", method, probability: 0.33, retry_after: 3 })),
  },
  slow: { hint: "Every answer takes 2 s more.", rules: () => [{ kind: "delay", seconds: 2 }] },
};
const SWITCH_OF_KIND = { cut_before: "cut", cut_after: "cut", late: "cut", 429: "429", delay: "slow" };

export class Panel {
  // `on.refused(error)` shows the person what went wrong; `on.pair(code)` opens the link that makes an owner.
  constructor(on) {
    this.on = on;
    this.bot = { running: false };
    for (const act of ["kill", "stop", "start"]) byId(act).addEventListener("click", () => this.act(act));
    byId("agent").addEventListener("change", (event) => this.choose(event.target.value));
    byId("faults").addEventListener("change", (event) => this.setFault(event.target.value));
    byId("toggle-panel").addEventListener("click", () => this.open(!byId("panel").classList.contains("open")));
    byId("pair").addEventListener("click", () => this.on.pair(this.bot.invitation.split("=").at(-1)));
    byId("take-rights").addEventListener("click", () => this.takeRights());
    byId("glossary").replaceChildren(...glossary());
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
    if (byId(act).getAttribute("aria-disabled") !== "true") this.asked(act, `bot/${act}`);
  }

  // Not by `disabled`: the button that was just pressed would lose the keyboard's focus.
  disable(id, disabled) {
    byId(id).setAttribute("aria-disabled", String(disabled));
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
    if (bot.failure && bot.failure !== this.bot.failure) byId("says").open = true; // what led to it is there
    this.bot = bot;
    this.showLife();
    this.showAgent();
    byId("failure").textContent = bot.failure;
    byId("failure").hidden = !bot.failure;
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
    byId("toggle-panel").setAttribute("aria-label", `The bot: ${word}`);
    const age = since ? duration(Date.now() / 1000 - since) : "";
    byId("life-detail").textContent = running ? `since ${clock(since)} (${age})` : endedBy ? `ended by ${endedBy}, ${age} ago` : "";
    this.disable("kill", !running);
    this.disable("stop", !running || ending);
    this.disable("start", running || this.waiting === "start");
  }

  async setFault(name) {
    byId("fault-hint").textContent = FAULTS[name].hint;
    try {
      await putFaults(FAULTS[name].rules());
    } catch (error) {
      this.on.refused(error);
    }
  }

  showFaults(kinds) {
    const name = kinds.length ? SWITCH_OF_KIND[kinds[0]] : "none";
    for (const input of byId("faults").querySelectorAll("input")) input.checked = input.value === name;
    byId("fault-hint").textContent = FAULTS[name]?.hint ?? `Others are in force: ${kinds.join(", ")}.`;
  }

  // `rows` are those of the chat on screen, newest first, each with its `word` and `hint`.
  showPending(counts, rows) {
    byId("counts").replaceChildren(...ORDER.filter((state) => ALWAYS.has(state) || counts[state]).map((state) => {
      const { word, hint } = wordsOf(state, this.bot.running);
      return el("div", { title: hint }, el("dt", { class: `state ${state}` }, word), el("dd", {}, String(counts[state] ?? 0)));
    }));
    this.showGuard(rows.find((row) => row.held_since));
    byId("rows").replaceChildren(...rows.map((row) =>
      el("tr", { class: row.held_since ? "guarded" : "" },
        el("td", {}, String(row.id)), el("td", {}, row.text ?? (row.state === "dropped" ? "(not kept)" : "(file)")),
        el("td", {}, el("span", { class: `state ${row.state}`, title: row.hint }, row.word)), el("td", {}, String(row.attempt)))));
  }

  showGuard(row) {
    const guard = byId("guard");
    guard.title = row ? `The guard: turn ${row.token} holds it, since ${clock(row.held_since)}.` : "Nobody holds the chat's guard.";
    if (!row) guard.textContent = "This chat is idle.";
    else if (this.bot.running) guard.textContent = `This chat is working on row ${row.id}, since ${clock(row.held_since)}.`;
    else guard.textContent = `Row ${row.id} was interrupted: it will be run again at the next start.`;
  }

  // `owner` is {name}, undefined while nobody owns the bot; `who` is the name of the person at the page.
  showAccess(owner, who) {
    const invitation = owner ? null : this.bot.invitation;
    byId("access").hidden = false;
    byId("access-text").textContent = owner
      ? `${owner.name} owns the bot. Others ask with /pair, and the owner decides.`
      : invitation ? "Nobody yet. Whoever opens this link and presses Start owns the bot:" : "Nobody yet. When the bot runs, it shows a link for its owner.";
    byId("invited").hidden = !invitation;
    byId("invitation").textContent = invitation ?? "";
    byId("pair").textContent = `Open it as ${who}`;
  }

  // What people may take from the bot here, and give back: a private chat's person blocks it, a group mutes it.
  showRights(chat) {
    this.chat = chat;
    const taken = chat.blocked || chat.muted;
    const person = chat.info.first_name;
    byId("rights").hidden = false;
    byId("rights-text").textContent = person
      ? (taken ? `${person} has blocked the bot: nothing can be sent here.` : `${person} can talk to the bot.`)
      : (taken ? "The bot reads here, and may not write." : "The bot reads and writes here; it is no administrator.");
    byId("take-rights").textContent = person ? (taken ? "Unblock the bot" : "Block the bot") : (taken ? "Let the bot write" : "Mute the bot");
  }

  async takeRights() {
    const { id, blocked, muted } = this.chat;
    try {
      await (id > 0 ? post("block", { user_id: id, blocked: !blocked }) : post("mute", { chat_id: id, muted: !muted }));
    } catch (error) {
      this.on.refused(error);
    }
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
