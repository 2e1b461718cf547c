// One message as elements: built once, then changed in place, so that streaming text neither flickers nor jumps.

import { fileUrl } from "./api.js";
import { bytes, clock, el, hue } from "./dom.js";
import { formatted } from "./format.js";
import { richBlocks, richPlain } from "./rich.js";

const REACTIONS = ["👍", "👎", "❤", "🔥", "🎉", "🤔"];
const DOWNLOAD = '<svg aria-hidden="true" viewBox="0 0 24 24"><path d="M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14"/></svg>';

export const previewOf = (message) => {
  if (message.text) return message.text;
  if (message.rich_message) return richPlain(message.rich_message.blocks);
  const kind = ["photo", "voice", "audio", "video", "animation", "document"].find((one) => message[one]);
  if (kind) return message.caption ?? message[kind].file_name ?? { photo: "Photo", voice: "Voice note" }[kind] ?? kind;
  return message.forum_topic_created ? `Topic “${message.forum_topic_created.name}”` : "";
};

export class MessageView {
  // `acts`: reply, edit, react, press, command, jump. `me` is the user id of whoever writes.
  constructor(message, acts) {
    this.acts = acts;
    this.parts = {
      sender: el("div", { class: "sender" }),
      reply: el("div", {}),
      media: el("div", {}),
      body: el("div", { class: "body" }),
      meta: el("div", { class: "meta" }),
    };
    this.bubble = el("div", { class: "bubble" }, Object.values(this.parts));
    this.keyboard = el("div", { class: "keyboard" });
    this.reactions = el("div", { class: "reactions" });
    this.tools = el("div", { class: "tools" });
    this.element = el("li", { class: "message", tabindex: -1, dataset: { id: message.message_id } });
    this.element.append(this.bubble, this.keyboard, this.reactions, this.tools);
    this.seen = {};
    this.update(message);
  }

  update(message) {
    this.message = message;
    if (message.forum_topic_created) return this.showService();
    this.part("media", mediaKey(message), () => mediaOf(message));
    this.bubble.classList.toggle("rich", Boolean(message.rich_message));
    this.part("body", [message.rich_message, message.text ?? message.caption ?? "", message.entities ?? message.caption_entities], () =>
      message.rich_message ? richBlocks(message.rich_message.blocks) : formatted(message.text ?? message.caption ?? "", message.entities ?? message.caption_entities, this.acts.command));
    this.part("reply", [message.reply_to_message?.message_id, message.quote], () => this.replyTo());
    this.showKeyboard();
    this.showReactions();
    this.showMeta();
  }

  // Tells who is looking: `me` the user id, `group` whether names are shown, `joined` whether the next is alike.
  place({ mine, group, joined }) {
    this.mine = mine;
    this.element.classList.toggle("mine", mine);
    this.element.classList.toggle("joined", joined);
    const from = this.message.from;
    this.element.style.setProperty("--hue", hue(from.id));
    this.part("sender", [group && !mine, from.first_name], () => (group && !mine ? [from.first_name] : []));
    this.showTools();
    this.name();
  }

  // The message's row in the pending table with `word`, how its state is called; or undefined.
  setRow(row) {
    this.row = row;
    this.showMeta();
  }

  // Replaces a part's children when what they show has changed.
  part(name, key, make) {
    const seen = JSON.stringify(key);
    if (this.seen[name] === seen) return;
    this.seen[name] = seen;
    this.parts[name].replaceChildren(...make());
  }

  name() {
    const text = previewOf(this.message).slice(0, 300);
    this.element.setAttribute("aria-label", `${this.message.from.first_name}, ${clock(this.message.date)}: ${text}`);
  }

  showService() {
    this.element.className = "service";
    this.element.textContent = previewOf(this.message);
  }

  replyTo() {
    const target = this.message.reply_to_message;
    if (!target) return [];
    const said = this.message.quote?.text ?? previewOf(target);
    return [el("button", { type: "button", class: "reply", onclick: () => this.acts.jump(target.message_id) },
      el("b", {}, target.from.first_name), el("span", {}, said))];
  }

  showMeta() {
    const label = this.row && this.row.word + (this.row.attempt > 1 ? ` · try ${this.row.attempt}` : "");
    const edited = this.message.edit_date && this.message.from.is_bot === false ? "edited" : "";
    this.part("meta", [label, edited, this.message.date, this.message.silent], () => [
      label ? el("span", { class: `state ${this.row.state}`, title: this.row.hint }, label) : null,
      edited ? el("span", {}, edited) : null,
      this.message.silent ? el("span", { title: "Sent without a notification" }, "🔕") : null,
      el("time", {}, clock(this.message.date)),
    ].filter(Boolean));
  }

  showKeyboard() {
    const rows = this.message.reply_markup?.inline_keyboard ?? [];
    const key = JSON.stringify(rows);
    if (this.seen.keyboard === key) return;
    this.seen.keyboard = key;
    this.keyboard.replaceChildren(...rows.map((row) => el("div", { class: "keyboard-row" }, row.map((one) => this.key(one)))));
    this.keyboard.hidden = rows.length === 0;
  }

  key(button) {
    if (button.url) return el("a", { class: "key", href: button.url, target: "_blank", rel: "noopener noreferrer" }, button.text);
    const press = async (event) => {
      event.currentTarget.classList.add("busy");
      await this.acts.press(this.message, button.callback_data, event.currentTarget);
    };
    return el("button", { type: "button", class: "key", disabled: !button.callback_data, onclick: press }, button.text);
  }

  showReactions() {
    const reactions = this.message.reactions ?? [];
    const key = JSON.stringify(reactions);
    if (this.seen.reactions === key) return;
    this.seen.reactions = key;
    const me = this.acts.me();
    this.reactions.replaceChildren(...reactions.map((one) =>
      el("button", { type: "button", class: "reaction", "aria-pressed": String(one.user_id === me),
        "aria-label": `Reaction ${one.emoji}`, onclick: () => this.acts.react(this.message, one.user_id === me ? "" : one.emoji) },
      one.emoji)));
  }

  showTools() {
    if (this.seen.tools === this.mine) return;
    this.seen.tools = this.mine;
    const tool = (label, title, act) => el("button", { type: "button", tabindex: -1, "aria-label": title, onclick: act }, label);
    this.tools.replaceChildren(
      tool("Reply", "Reply", () => this.acts.reply(this.message)),
      ...(this.mine && this.message.text ? [tool("Edit", "Edit", () => this.acts.edit(this.message))] : []),
      ...(this.mine ? [] : REACTIONS.map((emoji) => tool(emoji, `React with ${emoji}`, () => this.acts.react(this.message, emoji)))),
    );
  }

  // Makes the tools part of the tab order: only those of the message that has the focus are.
  activate(active) {
    this.element.tabIndex = active ? 0 : -1;
    for (const button of this.tools.children) button.tabIndex = active ? 0 : -1;
  }
}

const mediaKey = (message) => [message.photo, message.document, message.voice, message.audio, message.video, message.animation];

function mediaOf(message) {
  if (message.photo) {
    const photo = message.photo.at(-1);
    const alt = message.caption ? `Picture: ${message.caption}` : "Picture";
    return [el("img", { class: "picture", src: fileUrl(photo.file_id), width: photo.width, height: photo.height, alt, loading: "lazy",
      style: { "aspect-ratio": `${photo.width} / ${photo.height}`, height: "auto" } })];
  }
  for (const kind of ["voice", "audio"])
    if (message[kind]) return [el("audio", { controls: true, preload: "none", src: fileUrl(message[kind].file_id), "aria-label": previewOf(message) })];
  const file = message.document ?? message.video ?? message.animation;
  if (!file) return [];
  const glyph = el("span", { class: "glyph" });
  glyph.innerHTML = DOWNLOAD; // a constant of this file
  return [el("a", { class: "file", href: fileUrl(file.file_id), download: file.file_name }, glyph,
    el("span", {}, el("b", {}, file.file_name ?? "File"), bytes(file.file_size)))];
}
