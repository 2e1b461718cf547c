// One message as elements: built once, then changed in place, so that streaming text neither flickers nor jumps.

import { clock, el, hue, icon, ICONS, initials } from "./dom.js";
import { formatted } from "./format.js";
import { isPicture, mediaKey, mediaOf } from "./media.js";
import { richBlocks, richPlain } from "./rich.js";

const REACTIONS = ["👍", "👎", "❤", "🔥", "🎉", "🤔"];

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
    this.messages = [];
    this.parts = {
      sender: el("div", { class: "sender" }),
      reply: el("div", {}),
      media: el("div", { class: "media" }),
      body: el("div", { class: "body" }),
      reactions: el("div", { class: "reactions" }),
      meta: el("div", { class: "meta" }),
    };
    const { reactions, meta, ...above } = this.parts;
    this.bubble = el("div", { class: "bubble" }, Object.values(above), el("div", { class: "foot" }, reactions, meta));
    this.keyboard = el("div", { class: "keyboard" });
    this.tools = el("div", { class: "tools" });
    this.avatar = el("span", { class: "avatar", "aria-hidden": "true" });
    this.element = el("li", { class: "message", tabindex: -1 },
      el("div", { class: "line" }, this.avatar, el("div", { class: "stack" }, this.bubble, this.keyboard), this.tools));
    this.tools.addEventListener("focusout", (event) => { if (!this.tools.contains(event.relatedTarget)) this.closePicker(); });
    this.tools.addEventListener("keydown", (event) => this.onToolKey(event));
    this.element.style.setProperty("--hue", hue(message.from.id));
    this.seen = {};
    this.update(message);
  }

  // The first one of an album, else the only one.
  get message() {
    return this.messages[0];
  }

  // The message whose words are shown: in an album the one with the caption.
  get worded() {
    return this.messages.find((message) => message.text ?? message.caption) ?? this.message;
  }

  // Whether a message belongs to the album that this one shows.
  takes(message) {
    return Boolean(message.media_group_id) && message.media_group_id === this.message.media_group_id;
  }

  // Takes a message in: this one as it is now, or another of its album.
  update(message) {
    const others = this.messages.filter((one) => one.message_id !== message.message_id);
    this.messages = [...others, message].sort((a, b) => a.message_id - b.message_id);
    this.show();
  }

  // Takes one message of an album away, and says whether any is left.
  drop(id) {
    const left = this.messages.filter((one) => one.message_id !== id);
    if (!left.length) return false;
    this.messages = left;
    this.show();
    return true;
  }

  show() {
    this.element.dataset.id = this.message.message_id;
    if (this.message.forum_topic_created) return this.showService();
    const { text, caption, entities, caption_entities: captionEntities, rich_message: rich } = this.worded;
    this.bubble.classList.toggle("rich", Boolean(rich));
    this.bubble.classList.toggle("pictured", isPicture(this.message));
    this.part("media", mediaKey(this.messages), () => mediaOf(this.messages));
    this.part("body", [rich, text ?? caption ?? "", entities ?? captionEntities], () =>
      rich ? richBlocks(rich.blocks) : formatted(text ?? caption ?? "", entities ?? captionEntities, this.acts.command));
    this.part("reply", [this.message.reply_to_message?.message_id, this.message.quote], () => this.replyTo());
    this.showKeyboard();
    this.showReactions();
    this.showMeta();
    this.showTools();
    this.name();
  }

  // Who is looking: `mine` whether they wrote it, `group` whether names are shown. `follows` and `joined` say whether
  // the message before it and the next one are of the same person.
  place({ mine, group, follows, joined }) {
    const key = JSON.stringify([mine, group, follows, joined, this.acts.me()]);
    if (this.seen.place === key) return; // it is asked of each message on screen whenever another one comes
    this.seen.place = key;
    this.mine = mine;
    const named = group && !mine;
    this.element.classList.toggle("mine", mine);
    this.element.classList.toggle("joined", joined);
    this.element.classList.toggle("named", named);
    const from = this.message.from;
    this.avatar.textContent = named && !joined ? initials(from.first_name) : "";
    const name = named && !follows ? from.first_name : "";
    this.part("sender", name, () => [name].filter(Boolean));
    this.showReactions();
    this.showTools();
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
    const text = previewOf(this.worded).slice(0, 300);
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
    const edited = this.worded.edit_date && this.message.from.is_bot === false ? "edited" : "";
    this.part("meta", [label, edited, this.message.date, this.message.silent], () => [
      label ? el("span", { class: `state ${this.row.state}`, title: this.row.hint }, label) : null,
      edited ? el("span", { class: "edited" }, edited) : null,
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
    this.element.classList.toggle("keyed", rows.length > 0);
  }

  key(button) {
    const about = { class: "key", title: button.text };
    if (button.url) return el("a", { ...about, href: button.url, target: "_blank", rel: "noopener noreferrer" }, button.text);
    const press = async (event) => {
      event.currentTarget.classList.add("busy");
      await this.acts.press(this.message, button.callback_data, event.currentTarget);
    };
    return el("button", { ...about, type: "button", disabled: !button.callback_data, onclick: press }, button.text);
  }

  showReactions() {
    const reactions = this.messages.flatMap((message) => message.reactions ?? []);
    const me = this.acts.me();
    this.part("reactions", [reactions, me], () => reactions.map((one) =>
      el("button", { type: "button", class: "reaction", "aria-pressed": String(one.user_id === me),
        tabindex: this.active ? 0 : -1, "aria-label": `Reaction ${one.emoji}`, onclick: () => this.acts.react(this.message, one.user_id === me ? "" : one.emoji) },
      one.emoji)));
  }

  // -- what can be done with it: beside the bubble, so that it never covers words --

  showTools() {
    if (this.mine === undefined) return; // not placed yet
    const editable = this.mine && Boolean(this.message.text);
    const key = `${this.mine} ${editable}`;
    if (this.seen.tools === key) return;
    this.seen.tools = key;
    this.tools.replaceChildren(
      this.tool("Reply", ICONS.reply, () => this.acts.reply(this.message)),
      ...(editable ? [this.tool("Edit", ICONS.edit, () => this.acts.edit(this.message))] : []),
      ...(this.mine ? [] : [this.tool("React", ICONS.react, () => this.togglePicker())]),
    );
    this.activate(this.active);
  }

  tool(label, path, act) {
    return el("button", { type: "button", class: "tool", "aria-label": label, title: label, onclick: act }, icon(path));
  }

  togglePicker() {
    if (this.picker) return this.closePicker();
    this.picker = el("div", { class: "picker", role: "group", "aria-label": "Reactions" },
      REACTIONS.map((emoji) => el("button", { type: "button", "aria-label": `React with ${emoji}`, onclick: () => this.pick(emoji) }, emoji)));
    this.tools.append(this.picker);
    this.picker.firstChild.focus();
  }

  pick(emoji) {
    this.closePicker();
    this.element.focus();
    this.acts.react(this.message, emoji);
  }

  closePicker() {
    const picker = this.picker;
    this.picker = null; // first: to remove what has the focus calls this again
    picker?.remove();
  }

  onToolKey(event) {
    if (event.key !== "Escape" || !this.picker) return;
    this.closePicker();
    this.tools.lastElementChild.focus();
  }

  // Makes its buttons part of the tab order: only those of the message that has the focus are.
  activate(active) {
    this.active = active;
    this.element.tabIndex = active ? 0 : -1;
    for (const button of this.element.querySelectorAll(".tool, .reaction")) button.tabIndex = active ? 0 : -1;
  }
}
