// The messages of the chat on screen: a page of them at a time, the newest kept in view while they stream.

import { separateDays } from "./days.js";
import { el } from "./dom.js";
import { formatted } from "./format.js";
import { MessageView, previewOf } from "./message.js";

const PAGE = 60; // messages fetched at once
const KEPT_MAX = 240; // elements kept while the newest is in view; more are fetched again when scrolled to
const NEAR_PX = 60;
const JOINED_SECONDS = 300;
const TYPING_MS = 5000; // https://core.telegram.org/bots/api#sendchataction

export class Conversation {
  // `fetchPage(before, limit)` returns messages, oldest first. `acts` are those of MessageView.
  // `suggestions` is the element that is shown while nobody has written here.
  constructor({ scroller, list, live, suggestions, toBottom, announcer, fetchPage, acts }) {
    Object.assign(this, { scroller, list, live, suggestions, toBottom, announcer, fetchPage });
    this.acts = { ...acts, jump: (id) => this.jump(id) };
    this.views = new Map(); // by message id; the messages of an album share one
    this.more = false;
    this.loading = null;
    this.pinned = true;
    this.opening = 0;
    this.fetching = 0;
    this.waiting = [];
    this.makeDraft();
    scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.stick()).observe(scroller);
    list.addEventListener("load", () => this.stick(), true); // pictures
    list.addEventListener("focusin", (event) => this.activate(event.target.closest("li.message")));
    list.addEventListener("keydown", (event) => this.onKey(event));
    toBottom.addEventListener("click", () => this.goToBottom());
  }

  // Shows another chat. `place(message)` tells {mine, group}, `rowOf(message)` its pending row or undefined.
  async open({ place, rowOf, draft }) {
    const opening = ++this.opening;
    Object.assign(this, { place, rowOf });
    this.clear();
    this.showDraft(draft);
    const messages = await this.fetched(undefined);
    if (opening !== this.opening) return; // another chat was chosen meanwhile
    this.more = messages.length === PAGE;
    for (const message of messages) this.upsert(message, { quiet: true });
    this.arrange();
    this.goToBottom();
    this.catchUp();
  }

  // Fetches a page. What happens meanwhile waits: it may be newer than the page, and belongs after it.
  async fetched(before) {
    this.fetching += 1;
    try {
      return await this.fetchPage(before, PAGE);
    } finally {
      this.fetching -= 1;
    }
  }

  catchUp() {
    if (this.fetching) return;
    for (const act of this.waiting.splice(0)) act();
  }

  // Runs `act` now, or after the page that is being fetched.
  whenFetched(act) {
    if (this.fetching) this.waiting.push(act);
    else act();
  }

  clear() {
    this.waiting = [];
    this.views.clear();
    this.list.replaceChildren();
    this.suggestions.hidden = true;
    this.showDraft(null);
    this.stopTyping();
    this.pinned = true;
  }

  upsert(message, { quiet = false } = {}) {
    const view = this.views.get(message.message_id);
    if (view) {
      view.update(message);
      view.place(this.placeOf(view));
    } else if (this.isOlderThanShown(message)) return;
    else this.append(message, quiet);
    if (!quiet) this.stick();
  }

  isOlderThanShown(message) {
    const first = this.views.keys().next().value;
    return this.more && first !== undefined && message.message_id < first;
  }

  // Each view once, oldest first.
  shown() {
    return new Set(this.views.values());
  }

  append(message, quiet) {
    this.list.append(this.added(this.views, message).element);
    if (quiet) return;
    if (message.from.is_bot) this.stopTyping();
    if (message.from.id === this.draft?.bot_id) this.showDraft(null);
    this.announcer.textContent = `${message.from.first_name}: ${previewOf(message).slice(0, 200)}`;
    this.trim();
    this.arrange();
  }

  // Adds a message as the newest of `views`, to the album before it or in a view of its own.
  added(views, message) {
    const last = [...views.values()].at(-1);
    const view = last?.takes(message) ? last : new MessageView(message, this.acts);
    if (view === last) view.update(message);
    views.set(message.message_id, view);
    return view;
  }

  // The oldest elements go while nobody looks at them; scrolling up fetches them again.
  trim() {
    if (!this.pinned || this.views.size <= KEPT_MAX) return;
    for (const view of this.shown()) {
      if (this.views.size <= KEPT_MAX / 2) break;
      view.element.remove();
      for (const message of view.messages) this.views.delete(message.message_id);
    }
    this.more = true;
  }

  remove(id) {
    const view = this.views.get(id);
    this.views.delete(id);
    if (view && !view.drop(id)) view.element.remove();
    this.arrange();
  }

  setReactions(id, reactions) {
    const view = this.views.get(id);
    const message = view?.messages.find((one) => one.message_id === id);
    if (message) view.update({ ...message, reactions });
    this.stick();
  }

  // Places every message: whose side, joined with its neighbours, its state. Cheap: elements change only if that does.
  arrange() {
    separateDays(this.list, this.shown());
    for (const view of this.shown()) {
      view.place(this.placeOf(view));
      view.setRow(this.rowOf(view.message));
    }
    this.keepOneActive();
    this.showSuggestions();
  }

  showSuggestions() {
    this.suggestions.hidden = this.fetching > 0 || Boolean(this.draft) || this.list.querySelector("li.message") !== null;
  }

  placeOf(view) {
    const { previousElementSibling: before, nextElementSibling: after } = view.element;
    return { ...this.place(view.message), follows: this.areJoined(before, view.element), joined: this.areJoined(view.element, after) };
  }

  // Whether two elements are messages of one person, a short time apart.
  areJoined(first, second) {
    const [before, after] = [first, second].map((element) => this.views.get(Number(element?.dataset.id))?.message);
    return Boolean(before && after) && after.from.id === before.from.id && after.date - before.date < JOINED_SECONDS;
  }

  // -- scrolling --

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.pinned = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.toBottom.hidden = this.pinned;
    if (scrollTop < 400) this.loadOlder();
  }

  stick() {
    if (this.pinned) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  goToBottom() {
    this.pinned = true;
    this.toBottom.hidden = true;
    this.stick();
  }

  async loadOlder() {
    if (!this.more || this.loading) return this.loading;
    this.loading = this.prependPage(this.opening).finally(() => { this.loading = null; });
    return this.loading;
  }

  async prependPage(opening) {
    const first = this.views.keys().next().value;
    const messages = await this.fetched(first);
    if (opening !== this.opening || first !== this.views.keys().next().value) return this.catchUp();
    this.more = messages.length === PAGE;
    const older = new Map();
    for (const message of messages) this.added(older, message);
    const { scrollHeight, scrollTop } = this.scroller;
    this.prepend(older);
    this.arrange();
    this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
    this.catchUp();
  }

  // An album that the page's edge has cut is one again.
  prepend(older) {
    const [last, first] = [[...older.values()].at(-1), this.views.values().next().value];
    if (last && first?.takes(last.message)) {
      for (const message of last.messages) { first.update(message); older.set(message.message_id, first); }
    }
    this.views = new Map([...older, ...this.views]);
    this.list.prepend(...[...new Set(older.values())].map((view) => view.element));
  }

  async jump(id) {
    for (let pages = 0; !this.views.has(id) && this.more && pages < 20; pages += 1) {
      this.pinned = false;
      await this.loadOlder();
    }
    const element = this.views.get(id)?.element;
    if (!element) return;
    element.scrollIntoView({ block: "center" });
    element.classList.remove("flash");
    requestAnimationFrame(() => element.classList.add("flash"));
  }

  // -- the keyboard: one message is in the tab order, the arrows move it --

  activate(element) {
    for (const view of this.shown()) view.activate(view.element === element);
  }

  keepOneActive() {
    const last = [...this.list.querySelectorAll("li.message")].at(-1);
    if (last && !this.list.querySelector('li.message[tabindex="0"]')) this.activate(last);
  }

  onKey(event) {
    const item = event.target.closest("li.message");
    if (!event.target.matches("li.message, .tool, .reaction")) return; // a code block scrolls by the same keys
    const items = [...this.list.querySelectorAll("li.message")];
    const at = items.indexOf(item);
    const to = { ArrowUp: items[at - 1], ArrowDown: items[at + 1], Home: items[0], End: items.at(-1) }[event.key];
    if (!to) return;
    event.preventDefault();
    this.activate(to);
    to.focus();
  }

  lastOwnText(userId) {
    return [...this.shown()].map((view) => view.message).reverse()
      .find((message) => message.from.id === userId && message.text);
  }

  // -- what is not a message yet --

  showTyping() {
    clearTimeout(this.typingEnds);
    if (!this.typing) {
      this.typing = el("div", { class: "message typing", "aria-hidden": "true" },
        el("div", { class: "stack" }, el("div", { class: "bubble" }, el("i"), el("i"), el("i"))));
      this.live.append(this.typing);
    }
    this.typingEnds = setTimeout(() => this.stopTyping(), TYPING_MS);
    this.stick();
  }

  stopTyping() {
    clearTimeout(this.typingEnds);
    this.typing?.remove();
    this.typing = null;
  }

  // Changes in place, so that its button can be pressed while the text streams.
  showDraft(draft) {
    clearTimeout(this.draftEnds);
    this.draft = draft ?? null;
    this.draftElement.hidden = !draft;
    if (!draft) return;
    this.draftBody.replaceChildren(...(draft.text ? formatted(draft.text, draft.entities) : ["Thinking …"]));
    this.draftStop.hidden = !draft.can_stop;
    this.stopTyping();
    this.draftEnds = setTimeout(() => this.showDraft(null), draft.expires * 1000 - Date.now());
    this.stick();
  }

  makeDraft() {
    this.draftBody = el("div", { class: "body" });
    this.draftStop = el("div", { class: "keyboard" },
      el("button", { type: "button", class: "key", onclick: () => this.acts.stopDraft() }, "Stop"));
    this.draftElement = el("div", { class: "message draft", hidden: true },
      el("div", { class: "stack" }, el("div", { class: "bubble" }, this.draftBody), this.draftStop));
    this.live.append(this.draftElement);
  }
}
