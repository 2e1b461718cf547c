// The list of one person's chats: the bot, groups, and the topics of forums below them; what was said last comes first.

import { byId, clockOrDay, el, hue, initials } from "./dom.js";
import { previewOf } from "./message.js";

export const placeKey = (chatId, threadId) => `${chatId}/${threadId ?? 0}`;

export class ChatList {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.chats = new Map();
    this.unread = new Map();
    this.current = null;
    this.account = { id: 0, first_name: "Bot" }; // the bot's User
    this.me = null;
    this.badgeOf = () => null; // what is shown beside a chat's name
  }

  // Takes all chats as they are, with the bot's User.
  setAll(chats, account) {
    this.chats = new Map(chats.map((chat) => [chat.id, chat]));
    this.account = account;
    this.draw();
  }

  get(chatId) {
    return this.chats.get(chatId);
  }

  // A private chat is named after whom one talks to there.
  nameOf(chat) {
    return chat.id > 0 ? this.account.first_name : chat.info.title;
  }

  hueOf(chat) {
    return hue(chat.id > 0 ? this.account.id : chat.id);
  }

  people() {
    return [...this.chats.values()].filter((chat) => chat.id > 0).map((chat) => ({ id: chat.id, name: chat.info.first_name }));
  }

  set(chat) {
    this.chats.set(chat.id, { ...this.chats.get(chat.id), ...chat });
    this.draw();
  }

  // `notification` is what a phone says now; undefined when the message was only edited.
  setLast(chatId, message, notification) {
    const chat = this.chats.get(chatId);
    if (!chat) return;
    if ((chat.last_message?.message_id ?? 0) <= message.message_id) chat.last_message = message;
    chat.notification = notification ?? chat.notification;
    this.draw();
  }

  addUnread(key) {
    this.unread.set(key, (this.unread.get(key) ?? 0) + 1);
    this.draw();
  }

  // Whose chats are listed.
  setMe(id) {
    this.me = id;
    this.draw();
  }

  focus(key) {
    byId("chat-list").querySelector(`button[data-key="${key}"]`)?.focus();
  }

  // `chatId` is null when none is on screen.
  choose(chatId, threadId) {
    this.current = placeKey(chatId, threadId);
    this.unread.delete(this.current);
    this.draw();
  }

  draw() {
    const items = this.mine().flatMap((chat) => this.items(chat));
    const list = byId("chat-list");
    const focused = document.activeElement?.closest?.("#chat-list button")?.dataset.key;
    list.replaceChildren(...items);
    if (focused) this.focus(focused);
  }

  mine() {
    const newest = ({ last_message: last }) => (last && !last.forum_topic_created ? last.date : 0);
    return [...this.chats.values()].filter((chat) => chat.id < 0 || chat.id === this.me)
      .sort((a, b) => newest(b) - newest(a) || b.id - a.id); // of those with nothing in them the bot comes first
  }

  items(chat) {
    if (!chat.info.is_forum) return [el("li", {}, this.button(chat))];
    const general = { message_thread_id: undefined, name: "General" };
    const topics = [general, ...chat.topics].map((topic) => el("li", {}, this.topicButton(chat, topic)));
    return [el("li", {}, this.button(chat)), ...topics.slice(1)];
  }

  button(chat) {
    const key = placeKey(chat.id);
    const last = chat.last_message;
    return el("button", { class: "chat", type: "button", dataset: { key }, "aria-current": this.current === key ? "true" : null,
      onclick: () => this.onChoose(chat.id) },
    el("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": this.hueOf(chat) } }, initials(this.nameOf(chat))),
    el("span", { class: "name" }, this.nameOf(chat), this.badgeOf(chat)),
    el("span", { class: "when muted" }, last ? clockOrDay(last.date) : ""),
    el("span", { class: "preview muted" }, last ? this.said(last) : chat.info.is_forum ? "Forum" : "No messages yet"),
    this.badge(key),
    chat.notification ? el("span", { class: "notification muted" }, el("span", { "aria-hidden": "true" }, "🔔 "),
      el("span", { class: "visually-hidden" }, "Notification: "), chat.notification) : null);
  }

  said(message) {
    const text = previewOf(message).slice(0, 120);
    if (message.from.id === this.me) return `You: ${text}`;
    return message.chat.id < 0 && text ? `${message.from.first_name}: ${text}` : text;
  }

  topicButton(chat, topic) {
    const key = placeKey(chat.id, topic.message_thread_id);
    return el("button", { class: "chat topic", type: "button", dataset: { key }, "aria-current": this.current === key ? "true" : null,
      onclick: () => this.onChoose(chat.id, topic.message_thread_id) },
    el("span", { class: "name" }, `# ${topic.name}`), this.badge(key));
  }

  badge(key) {
    const count = this.unread.get(key);
    return count ? el("span", { class: "badge" }, String(count), el("span", { class: "visually-hidden" }, " unread")) : null;
  }
}
