// Puts the page together: what the server tells goes to the panes, what people do goes to the server.

import { follow, get, post, postForm } from "./api.js";
import { ChatList, nameOf, placeKey } from "./chats.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, el, hue, initials } from "./dom.js";
import { Panel } from "./panel.js";
import { roleBadge, wordsOf } from "./words.js";

const TOAST_MS = 4000;
const state = { chatId: null, threadId: undefined, private: false, pending: { counts: {}, rows: [], roles: {} }, rowsByMessage: new Map() };

const chats = new ChatList((chatId, threadId) => choose(chatId, threadId));
const panel = new Panel({ refused, pair });
const composer = new Composer({
  send: (text, replyTo) => tried(() => post("messages", { ...where(), text, ...(replyTo ? { reply_to_message_id: replyTo } : {}) })),
  edit: (message, text) => tried(() => post("edits", { chat_id: state.chatId, user_id: me(), message_id: message.message_id, text })),
  files: sendFiles,
  editLast: () => edit(conversation.lastOwnText(me())),
});
const conversation = new Conversation({
  scroller: byId("scroller"),
  list: byId("messages"),
  live: byId("live"),
  toBottom: byId("to-bottom"),
  announcer: byId("announcer"),
  fetchPage: (before, limit) => get(`chats/${state.chatId}/messages?${query({ before, limit, message_thread_id: threadQuery() })}`),
  acts: {
    me,
    reply: (message) => composer.setTarget({ kind: "reply", message }),
    edit,
    react: (message, emoji) => tried(() => post("reactions", { chat_id: state.chatId, user_id: me(), message_id: message.message_id, emoji })),
    press: (message, data) => tried(() => post("press", { chat_id: state.chatId, message_id: message.message_id, user_id: me(), callback_data: data })),
    command: (text) => tried(() => post("messages", { ...where(), text })),
    stopDraft: () => tried(() => post("stop_draft", { chat_id: state.chatId })),
  },
});

byId("back").addEventListener("click", () => {
  byId("app").dataset.view = "chats";
  byId("chat-list").querySelector("[aria-current]")?.focus();
});

// -- who and where --

const chat = () => chats.chats.get(state.chatId);
const people = () => [...chats.chats.values()].filter((one) => one.id > 0);

function me() {
  return state.chatId > 0 ? state.chatId : Number(byId("as").value);
}

function where() {
  return { chat_id: state.chatId, user_id: me(), ...(state.threadId ? { message_thread_id: state.threadId } : {}) };
}

const threadQuery = () => (chat()?.info.is_forum ? state.threadId ?? 0 : undefined);

const query = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));

const isHere = (chatId, threadId) => chatId === state.chatId && (!chat()?.info.is_forum || (threadId ?? 0) === (state.threadId ?? 0));

const keyOf = (message) => placeKey(message.chat.id, chats.chats.get(message.chat.id)?.info.is_forum ? message.message_thread_id : 0);

async function choose(chatId, threadId, { focus = true } = {}) {
  Object.assign(state, { chatId, threadId });
  localStorage.setItem("place", JSON.stringify([chatId, threadId ?? null]));
  chats.choose(chatId, threadId);
  byId("app").dataset.view = "conversation";
  byId("composer").hidden = false;
  const topic = chat().topics.find((one) => one.message_thread_id === threadId);
  byId("title").textContent = topic ? `${nameOf(chat())} # ${topic.name}` : nameOf(chat());
  byId("avatar").textContent = initials(nameOf(chat()));
  byId("avatar").style.setProperty("--hue", hue(chatId));
  showSubtitle();
  byId("as-label").hidden = chatId > 0;
  composer.setTarget(null);
  showPending();
  showRoles();
  panel.showRights(chat());
  await conversation.open({
    place: (message) => ({ mine: !message.from.is_bot && (chatId > 0 || message.from.id === me()), group: chatId < 0 }),
    rowOf: (message) => (message.from.is_bot ? undefined : state.rowsByMessage.get(`${chatId}/${message.message_id}`)),
    draft: chat().draft,
  });
  if (focus) (matchMedia("(max-width: 720px)").matches ? byId("title") : composer).focus();
}

function showSubtitle(text) {
  clearTimeout(state.subtitleEnds);
  const kind = { private: "private chat", group: "group", supergroup: chat()?.info.is_forum ? "forum" : "group" }[chat()?.info.type];
  byId("subtitle").textContent = text ?? (state.chatId > 0 ? `you are ${nameOf(chat())}, in a private chat with the bot` : kind);
  if (text) state.subtitleEnds = setTimeout(() => showSubtitle(), 5000);
}

function edit(message) {
  if (message) composer.setTarget({ kind: "edit", message });
}

async function sendFiles(files, caption, replyTo) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...where(), caption, reply_to_message_id: replyTo ?? "" })) form.append(name, value);
  for (const file of files) form.append("file", file);
  await tried(() => postForm("files", form));
}

// -- what the server tells --

const handlers = {
  hello: load,
  reload: load,
  lost: () => showSubtitle("The playground does not answer. Is it still running?"),
  chat(event) {
    chats.set(event.chat);
    if (event.chat.id === state.chatId) panel.showRights(event.chat);
  },
  message({ chat_id: chatId, message, notification }) {
    chats.setLast(chatId, message, notification);
    if (isHere(chatId, message.message_thread_id)) {
      conversation.whenFetched(() => conversation.upsert(message));
      if (message.from.is_bot) showSubtitle();
    } else if (message.from.is_bot && !message.edit_date) chats.addUnread(keyOf(message));
  },
  deleted: (event) => { if (event.chat_id === state.chatId) conversation.whenFetched(() => conversation.remove(event.message_id)); },
  reactions(event) {
    if (event.chat_id === state.chatId) conversation.whenFetched(() => conversation.setReactions(event.message_id, event.reactions));
  },
  action(event) {
    if (!isHere(event.chat_id, event.message_thread_id)) return;
    conversation.showTyping();
    showSubtitle(`bot: ${event.action.replaceAll("_", " ")} …`);
  },
  draft(event) {
    if (isHere(event.chat_id, event.draft.message_thread_id)) conversation.whenFetched(() => conversation.showDraft(event.draft));
  },
  callback({ answer }) {
    for (const key of document.querySelectorAll(".key.busy")) key.classList.remove("busy");
    if (answer.text) toast(answer.text);
  },
  commands: async () => { composer.commands = (await get("state")).commands; },
  bot(event) {
    panel.setBot(event.bot);
    setPending(state.pending);
  },
  faults: (event) => panel.showFaults(event.faults),
  line: (event) => panel.addLine(event.line),
  pending: (event) => setPending(event.pending),
  async tour(event) {
    if (event.caption) { byId("caption").textContent = event.caption; byId("caption").hidden = false; }
    if (event.chat_id && event.chat_id !== state.chatId) await choose(event.chat_id);
    if (event.typed !== undefined) composer.value = event.typed;
  },
};

async function load() {
  const [all, now] = await Promise.all([get("chats"), get("state")]);
  state.private = now.private;
  chats.setAll(all);
  panel.setAgents(now.agents);
  panel.setBot(now.bot);
  panel.setLines(now.lines);
  panel.showFaults(now.faults);
  composer.commands = now.commands;
  const chosen = byId("as").value;
  byId("as").replaceChildren(...people().map((one) => el("option", { value: one.id }, nameOf(one))));
  if (chosen) byId("as").value = chosen;
  setPending(now.pending);
  const [chatId, threadId] = state.chatId ? [state.chatId, state.threadId] : lastPlace();
  if (chats.chats.has(chatId)) await choose(chatId, threadId ?? undefined, { focus: false });
}

// Where the person was; on a phone the list comes first.
function lastPlace() {
  if (matchMedia("(max-width: 720px)").matches) return [null];
  return JSON.parse(localStorage.getItem("place")) ?? [people()[0]?.id];
}

function setPending(pending) {
  const rows = pending.rows.map((row) => ({ ...row, ...wordsOf(row.state, panel.bot.running) }));
  state.pending = { ...pending, rows };
  state.rowsByMessage = new Map(rows.map((row) => [`${row.chat_id}/${row.message_id}`, row]));
  showPending();
  if (state.private) showRoles();
  if (state.chatId) conversation.arrange();
}

// In a private bot everybody has a role: in the list, in the heading, and who owns it in the panel.
function showRoles() {
  if (!state.private) return;
  for (const one of chats.chats.values()) one.role = state.pending.roles[one.id];
  chats.badgeOf = (one) => (one.id > 0 || one.role ? roleBadge(one.role) : null);
  chats.draw();
  byId("role").replaceChildren(...[chat() && chats.badgeOf(chat())].filter(Boolean));
  panel.showAccess(people(), writer());
}

const writer = () => chats.chats.get(state.chatId ? me() : people()[0]?.id);

async function pair(code) {
  const person = writer().id;
  await choose(person);
  await tried(() => post("messages", { chat_id: person, user_id: person, text: `/start ${code}` }));
}

function showPending() {
  const forum = chat()?.info.is_forum;
  const rows = state.pending.rows.filter((row) => row.chat_id === state.chatId && (!forum || (row.topic_id ?? 0) === (state.threadId ?? 0)));
  panel.showPending(state.pending.counts, rows);
}

// -- telling people --

async function tried(act) {
  try {
    await act();
    return true;
  } catch (error) {
    refused(error);
    return false;
  }
}

function refused(error) {
  toast(error.message);
}

function toast(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(state.toastEnds);
  state.toastEnds = setTimeout(() => { byId("toast").hidden = true; }, TOAST_MS);
}

byId("as").addEventListener("change", () => { showRoles(); conversation.arrange(); composer.focus(); });
byId("composer").hidden = true;
follow((event) => handlers[event.kind]?.(event));
