// The admin page: follows what there is, shows it, and asks the server to act.

import { bars, swatch } from "./chart.js";
import { byId, el } from "./dom.js";
import { Lists } from "./lists.js";

const DAY_MS = 60_000;
const TOAST_MS = 5_000;
const RETRY_MS = 5_000;
const OUTCOMES = { done: "answered", failed: "failed", stopped: "stopped", dead: "given up" };

const chat = new URLSearchParams(location.search).get("chat") ?? "";
const lists = new Lists(act);

async function ask(path, body) {
  const asked = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const response = await fetch(path, asked);
  if (response.status === 401) location.assign("/login");
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.description);
  return answer;
}

function toast(words) {
  byId("toast").textContent = words;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { byId("toast").textContent = ""; }, TOAST_MS);
}

function confirmed({ label, question }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = label;
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function act(action, entry, button) {
  if (button.getAttribute("aria-disabled") || (action.question && !(await confirmed(action)))) return;
  button.setAttribute("aria-disabled", "true");
  try {
    toast((await ask("/act", { action: action.name, row_id: entry.row_id })).said);
  } catch (error) {
    toast(`That did not work: ${error.message}`);
  }
  button.removeAttribute("aria-disabled");
}

function showHealth(kind, words) {
  document.body.className = kind;
  if (byId("health-text").textContent !== words) byId("health-text").textContent = words;
}

function show(seen) {
  showHealth(seen.not_ready ? "failing" : "ready", seen.not_ready ? `Not ready: ${seen.not_ready}` : "Ready");
  byId("role").hidden = seen.role === "admin";
  if (seen.sections) lists.show(seen, chat);
}

// A browser reconnects by itself after a cut, but not after a refusal.
function follow() {
  const source = new EventSource(`/events${chat ? `?chat=${encodeURIComponent(chat)}` : ""}`);
  source.onmessage = (message) => {
    const seen = JSON.parse(message.data);
    if (seen.ended) source.close();
    if (seen.ended) lost();
    else show(seen);
  };
  source.onerror = () => {
    showHealth("failing", "Not connected: what is shown may be old");
    if (source.readyState === EventSource.CLOSED) lost();
  };
}

function lost() {
  showHealth("failing", "Not connected: what is shown may be old");
  ask("/day").catch(() => {}).finally(() => setTimeout(follow, RETRY_MS));
}

async function showDay() {
  const hours = await ask("/day").catch(() => null);
  if (!hours) return;
  const total = (name) => hours.reduce((sum, { ended }) => sum + ended[name], 0);
  const said = Object.keys(OUTCOMES).map((name) => `${total(name)} ${OUTCOMES[name]}`);
  byId("ended").replaceChildren(bars(hours.map(({ began, ended }) => ({
    began, values: Object.entries(ended), title: `${hour(began)}: ${Object.entries(ended).map(([name, number]) => `${number} ${OUTCOMES[name]}`).join(", ")}`,
  })), String, `In 24 hours: ${said.join(", ")}`));
  byId("legend").replaceChildren(...Object.keys(OUTCOMES).map((name, index) => el("li", {}, swatch(name), said[index])));
  const longest = Math.max(...hours.map((one) => one.waited_seconds ?? 0));
  byId("waited").replaceChildren(bars(hours.map(({ began, waited_seconds: waited }) => ({
    began, values: [["waited", waited ?? 0]], title: `${hour(began)}: ${waited === null ? "no turn began" : seconds(waited)}`,
  })), seconds, `In 24 hours the longest of these waits was ${seconds(longest)}`));
}

const hour = (began) => `${new Date(began * 1000).getHours()}:00`;

function seconds(number) {
  if (number < 10) return `${number.toFixed(1)} s`;
  if (number < 120) return `${Math.round(number)} s`;
  return number < 7200 ? `${Math.round(number / 60)} min` : `${Math.round(number / 3600)} h`;
}

byId("chat").value = chat;
byId("all").hidden = !chat;
follow();
showDay();
setInterval(showDay, DAY_MS);
setInterval(() => lists.tick(), 1000);
