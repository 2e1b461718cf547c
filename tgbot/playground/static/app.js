// Puts the page together: what the server tells goes to the panes, what people do goes to the server.

import { follow, get, post, postForm } from "./api.js";
import { ChatList, placeKey } from "./chats.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, initials } from "./dom.js";
import { Members } from "./members.js";
import { Panel } from "./panel.js";
import { People } from "./people.js";
import { suggestions } from "./suggestions.js";
import { roleBadge, wordsOf } from "./words.js";

const TOAST_MS = 4000;
const state = { chatId: null, threadId: undefined, private: false, pending: { counts: {}, rows: [], roles: {} }, rowsByMessage: new Map() };

const chats = new ChatList((chatId, threadId) => choose(chatId, threadId));
const people = new People((id) => become(id));
const members = new Members((id) => become(id));
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
  suggestions: byId("suggestions"),
  toBottom: byId("to-bottom"),
  announcer: byId("announcer"),
  fetchPage: (before, limit) => get(`chats/${state.chatId}/messages?${query({ before, limit, message_thread_id: threadQuery() })}`),
  acts: {
    me,
    reply: (message) => composer.setTarget({ kind: "reply", message }),
    edit,
    react: (message, emoji) => tried(() => post("reactions", { chat_id: state.chatId, user_id: me(), message_id: message.message_id, emoji })),
    press: (message, data) => tried(() => post("press", { chat_id: state.chatId, message_id: message.message_id, user_id: me(), callback_data: data })),
    command: (text) => say(text),
    stopDraft: () => tried(() => post("stop_draft", { chat_id: state.chatId })),
  },
});

byId("back").addEventListener("click", leave);

// -- who and where --

const chat = () => chats.get(state.chatId);

function me() {
  return people.id;
}

// Writes as somebody else from now on: in the same group, or in that person's own chat with the bot.
async function become(id) {
  people.choose(id);
  chats.setMe(id);
  if (state.chatId < 0) {
    showWhere();
    showRoles();
    conversation.arrange();
    savePlace();
  } else if (state.chatId !== null) await choose(id, undefined, { focus: false });
}

function where() {
  return { chat_id: state.chatId, user_id: me(), ...(state.threadId ? { message_thread_id: state.threadId } : {}) };
}

const threadQuery = () => (chat()?.info.is_forum ? state.threadId ?? 0 : undefined);

const query = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));

const say = (text) => tried(() => post("messages", { ...where(), text }));

const isHere = (chatId, threadId) => chatId === state.chatId && (!chat()?.info.is_forum || (threadId ?? 0) === (state.threadId ?? 0));

const keyOf = (message) => placeKey(message.chat.id, chats.get(message.chat.id)?.info.is_forum ? message.message_thread_id : 0);

async function choose(chatId, threadId, { focus = true } = {}) {
  Object.assign(state, { chatId, threadId });
  if (chatId > 0) people.choose(chatId);
  chats.setMe(me());
  chats.choose(chatId, threadId);
  if (chatId > 0) people.setUnread(chatId, 0);
  savePlace();
  byId("app").dataset.view = "conversation";
  byId("composer").hidden = false;
  showWhere();
  showSuggestions();
  composer.setTarget(null);
  showPending();
  showRoles();
  panel.showRights(chat());
  await conversation.open({
    place: (message) => ({ mine: message.from.id === me(), group: chatId < 0 }),
    rowOf: (message) => (message.from.is_bot ? undefined : state.rowsByMessage.get(`${chatId}/${message.message_id}`)),
    draft: chat().draft,
  });
  if (focus) (matchMedia("(max-width: 720px)").matches ? byId("title") : composer).focus();
}

// Goes back to the list, on a phone: what comes from now on is unread.
function leave() {
  const { current } = chats;
  state.chatId = null;
  chats.choose(null);
  conversation.clear();
  byId("composer").hidden = true;
  byId("app").dataset.view = "chats";
  chats.focus(current);
}

function savePlace() {
  localStorage.setItem("place", JSON.stringify([state.chatId, state.threadId ?? null, me()]));
}

function showWhere() {
  const topic = chat().topics.find((one) => one.message_thread_id === state.threadId);
  const name = chats.nameOf(chat());
  byId("title").textContent = topic ? `${name} # ${topic.name}` : name;
  byId("avatar").textContent = initials(name);
  byId("avatar").style.setProperty("--hue", chats.hueOf(chat()));
  byId("identity").hidden = false;
  byId("show-members").hidden = state.chatId > 0;
  byId("text").placeholder = state.chatId > 0 ? "Message" : `Message as ${people.name}`;
  showDoing();
}

// What the bot is doing, for as long as a phone would show it.
function showDoing(text) {
  clearTimeout(state.doingEnds);
  byId("doing").textContent = text ?? "";
  if (text) state.doingEnds = setTimeout(() => showDoing(), 5000);
}

function showSuggestions() {
  byId("suggestions").replaceChildren(...suggestions(panel.bot.agent, chats.account, state.chatId < 0, say));
}

async function showMembers() {
  await tried(async () => members.show(chats.nameOf(chat()), await get(`chats/${state.chatId}/members`), me()));
}

function edit(message) {
  if (message) composer.setTarget({ kind: "edit", message });
}

async function sendFiles(files, caption, replyTo) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...where(), caption, reply_to_message_id: replyTo ?? "" })) form.append(name, value);
  for (const file of files) form.append("file", file);
  return tried(() => postForm("files", form));
}

// -- what the server tells --

const handlers = {
  hello: load,
  reload: load,
  lost: () => toast("The playground does not answer. Is it still running?"),
  chat(event) {
    chats.set(event.chat);
    if (event.chat.id > 0 && !people.names.has(event.chat.id)) showPeople();
    if (event.chat.id === state.chatId) panel.showRights(event.chat);
  },
  message({ chat_id: chatId, message, notification }) {
    chats.setLast(chatId, message, notification);
    if (isHere(chatId, message.message_thread_id)) {
      conversation.whenFetched(() => conversation.upsert(message));
      if (message.from.is_bot) showDoing();
    } else if (message.from.is_bot && !message.edit_date) addUnread(message);
  },
  deleted: (event) => { if (event.chat_id === state.chatId) conversation.whenFetched(() => conversation.remove(event.message_id)); },
  reactions(event) {
    if (event.chat_id === state.chatId) conversation.whenFetched(() => conversation.setReactions(event.message_id, event.reactions));
  },
  action(event) {
    if (!isHere(event.chat_id, event.message_thread_id)) return;
    conversation.showTyping();
    showDoing(`${event.action.replaceAll("_", " ")} …`);
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
    showSuggestions();
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
  chats.setAll(all, now.account);
  panel.setAgents(now.agents);
  panel.setBot(now.bot);
  panel.setLines(now.lines);
  panel.showFaults(now.faults);
  composer.commands = now.commands;
  const [lastChat, lastThread, lastPerson] = lastPlace();
  people.id ??= lastPerson;
  showPeople();
  setPending(now.pending);
  const narrow = matchMedia("(max-width: 720px)").matches; // where the list comes first
  const chatId = state.chatId ?? (narrow ? null : lastChat ?? me());
  const threadId = state.chatId ? state.threadId : lastThread;
  if (chats.chats.has(chatId)) await choose(chatId, threadId ?? undefined, { focus: false });
}

function showPeople() {
  people.setAll(chats.people());
  chats.setMe(me());
  for (const id of people.names.keys()) people.setUnread(id, chats.unread.get(placeKey(id)) ?? 0);
}

function lastPlace() {
  return JSON.parse(localStorage.getItem("place")) ?? [];
}

function addUnread(message) {
  const key = keyOf(message);
  chats.addUnread(key);
  if (message.chat.id > 0) people.setUnread(message.chat.id, chats.unread.get(key));
}

function setPending(pending) {
  const rows = pending.rows.map((row) => ({ ...row, ...wordsOf(row.state, panel.bot.running) }));
  state.pending = { ...pending, rows };
  state.rowsByMessage = new Map(rows.map((row) => [`${row.chat_id}/${row.message_id}`, row]));
  showPending();
  if (state.private) showRoles();
  if (state.chatId) conversation.arrange();
}

// In a private bot everybody has a role: by their picture, in the heading, and who owns it in the panel.
function showRoles() {
  if (!state.private) return;
  const { roles } = state.pending;
  const badgeOf = (id) => (id > 0 || roles[id] ? roleBadge(roles[id]) : null);
  people.setBadges(badgeOf);
  chats.badgeOf = (one) => (one.id < 0 ? badgeOf(one.id) : null);
  chats.draw();
  byId("role").replaceChildren(...[state.chatId && badgeOf(state.chatId)].filter(Boolean));
  const owner = chats.people().find(({ id }) => roles[id] === "owner");
  panel.showAccess(owner, people.name);
}

async function pair(code) {
  const person = me();
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
  const shown = byId("toast");
  shown.textContent = text;
  shown.togglePopover(false);
  shown.togglePopover(true); // anew, so that it is above a dialog
  clearTimeout(state.toastEnds);
  state.toastEnds = setTimeout(() => shown.togglePopover(false), TOAST_MS);
}

byId("show-members").addEventListener("click", showMembers);
byId("composer").hidden = true;
// One after the other: what has happened since a state was asked for must not be overwritten by it.
let handled = Promise.resolve();
follow((event) => {
  handled = handled.then(() => handlers[event.kind]?.(event)).catch((error) => console.error(error));
});
