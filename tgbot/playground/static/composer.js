// The line people write in: sending, replying, editing, commands on "/", files by button, paste and drop.

import { byId, el } from "./dom.js";
import { previewOf } from "./message.js";
import { Sending } from "./sending.js";
import { pieces, TEXT_UNITS_MAX } from "./split.js";

export class Composer {
  // `on`: send(text, replyTo), edit(message, text), files(list, caption, replyTo), each saying whether it went; editLast().
  constructor(on) {
    this.on = on;
    this.form = byId("composer");
    this.text = byId("text");
    this.list = byId("commands");
    this.about = byId("about");
    this.commands = [];
    this.target = null;
    this.sending = new Sending({
      send: (files, caption) => this.on.files(files, caption, this.target?.message.message_id),
      sent: ({ withText }) => this.filesAreSent(withText),
    });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => this.onKey(event));
    this.text.addEventListener("paste", (event) => this.take(event, event.clipboardData));
    this.text.addEventListener("blur", () => this.suggest([]));
    byId("about-cancel").addEventListener("click", () => this.setTarget(null));
    byId("attach").addEventListener("click", () => byId("files").click());
    byId("files").addEventListener("change", (event) => { this.showFiles([...event.target.files]); event.target.value = ""; });
    this.acceptDrops(byId("conversation"));
  }

  focus() {
    this.text.focus();
  }

  set value(text) {
    this.text.value = text;
    this.changed();
  }

  // Says what the next text is about: {kind: "reply" | "edit", message}, or null.
  setTarget(target) {
    if (this.target?.kind === "edit") this.value = "";
    this.target = target;
    this.about.hidden = !target;
    if (!target) return;
    const verb = target.kind === "edit" ? "Edit" : `Reply to ${target.message.from.first_name}`;
    byId("about-text").replaceChildren(el("b", {}, `${verb}: `), previewOf(target.message));
    if (target.kind === "edit") this.value = target.message.text;
    this.focus();
  }

  async submit() {
    const text = this.text.value;
    if (!text.trim()) return;
    const target = this.target;
    this.target = null; // so that clearing it does not clear the text as well
    this.setTarget(null);
    this.value = "";
    const left = target?.kind === "edit" ? await this.editing(target.message, text) : await this.inPieces(text, target?.message.message_id);
    if (left) this.value = left; // refused: nothing typed is lost
  }

  // Returns what was refused: all of it, or "".
  async editing(message, text) {
    return (await this.on.edit(message, text)) ? "" : text;
  }

  // Sends a text, a long one as several messages; returns what was refused and all behind it.
  async inPieces(text, replyTo) {
    const left = pieces(text);
    for (let first = true; left.length; left.shift(), first = false)
      if (!(await this.on.send(left[0], first ? replyTo : undefined))) break;
    return left.join("");
  }

  showFiles(files) {
    if (this.target?.kind === "edit") this.setTarget(null);
    if (files.length) this.sending.open(files, this.text.value);
  }

  filesAreSent(withText) {
    this.setTarget(null);
    if (withText) this.value = "";
    this.focus();
  }

  take(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    this.showFiles([...data.files]);
  }

  acceptDrops(area) {
    area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("dropping"); });
    area.addEventListener("dragleave", () => area.classList.remove("dropping"));
    area.addEventListener("drop", (event) => { area.classList.remove("dropping"); this.take(event, event.dataTransfer); });
  }

  changed() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
    this.showLength();
    const typed = /^\/(\w*)$/.exec(this.text.value);
    this.suggest(typed ? this.commands.filter((one) => one.command.startsWith(typed[1].toLowerCase())) : []);
  }

  showLength() {
    const { length } = this.text.value;
    const count = length > TEXT_UNITS_MAX ? pieces(this.text.value).length : 1;
    const held = `A message holds ${TEXT_UNITS_MAX} characters`;
    const note = count < 2 ? "" : this.target?.kind === "edit" ? `${held}: this edit is too long.` : `${held}: this goes as ${count} messages.`;
    if (byId("length").textContent !== note) byId("length").textContent = note; // or a screen reader says it at every key
  }

  // -- commands --

  suggest(commands) {
    this.list.hidden = commands.length === 0;
    this.list.replaceChildren(...commands.map((one, index) =>
      el("li", { id: `command-${index}`, role: "option", "aria-selected": String(index === 0), dataset: { command: one.command },
        onmousedown: (event) => { event.preventDefault(); this.choose(one.command); } },
      el("b", {}, `/${one.command}`), el("span", { class: "muted" }, one.description))));
    this.mark(0);
  }

  mark(index) {
    [...this.list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
    const item = this.list.children[index];
    item?.scrollIntoView({ block: "nearest" });
    if (item) this.text.setAttribute("aria-activedescendant", item.id);
    else this.text.removeAttribute("aria-activedescendant");
  }

  choose(command) {
    this.value = `/${command}`;
    this.suggest([]);
    this.submit();
  }

  onKey(event) {
    if (!this.list.hidden && this.onListKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(); }
    if (event.key === "Escape") this.setTarget(null);
    if (event.key === "ArrowUp" && !this.text.value) { event.preventDefault(); this.on.editLast(); }
  }

  onListKey(event) {
    const items = [...this.list.children];
    const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    const act = {
      ArrowDown: () => this.mark((at + 1) % items.length),
      ArrowUp: () => this.mark((at + items.length - 1) % items.length),
      Enter: () => this.choose(items[at].dataset.command),
      Tab: () => { this.value = `/${items[at].dataset.command} `; },
      Escape: () => this.suggest([]),
    }[event.key];
    if (!act) return false;
    event.preventDefault();
    act();
    return true;
  }
}
