// The list of chats: people, groups, and the topics of forums below them.

import { byId, clock, el, hue, initials } from "./dom.js";
import { previewOf } from "./message.js";

export const nameOf = (chat) => chat.info.title ?? chat.info.first_name;
export const placeKey = (chatId, threadId) => `${chatId}/${threadId ?? 0}`;

export class ChatList {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.chats = new Map();
    this.unread = new Map();
    this.current = null;
    this.badgeOf = () => null; // what is shown beside a chat's name
  }

  // Takes all chats as they are; the newest message decides the order.
  setAll(chats) {
    this.chats = new Map(chats.map((chat) => [chat.id, chat]));
    this.draw();
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

  choose(chatId, threadId) {
    this.current = placeKey(chatId, threadId);
    this.unread.delete(this.current);
    this.draw();
  }

  draw() {
    const items = [...this.chats.values()].flatMap((chat) => this.items(chat));
    const list = byId("chat-list");
    const focused = document.activeElement?.closest?.("#chat-list button")?.dataset.key;
    list.replaceChildren(...items);
    if (focused) list.querySelector(`button[data-key="${focused}"]`)?.focus();
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
    const who = last && chat.id < 0 && previewOf(last) ? `${last.from.first_name}: ` : "";
    return el("button", { class: "chat", type: "button", dataset: { key }, "aria-current": this.current === key ? "true" : null,
      onclick: () => this.onChoose(chat.id) },
    el("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": hue(chat.id) } }, initials(nameOf(chat))),
    el("span", { class: "name" }, nameOf(chat), this.badgeOf(chat)),
    this.badge(key) ?? el("span", { class: "muted" }, last ? clock(last.date) : ""),
    el("span", { class: "preview muted" }, last ? who + previewOf(last).slice(0, 120) : chat.info.is_forum ? "Forum" : "No messages yet"),
    chat.notification ? el("span", { class: "notification muted" }, el("span", { "aria-hidden": "true" }, "🔔 "),
      el("span", { class: "visually-hidden" }, "Notification: "), chat.notification) : null);
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
