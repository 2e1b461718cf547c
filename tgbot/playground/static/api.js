// The wire between page and server: plain requests, and one stream of events.

export class Refused extends Error {}

async function answer(response) {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(body?.description ?? `The server answered ${response.status}`);
  return body;
}

export const get = async (path) => answer(await fetch(`/playground/${path}`));

export const post = async (path, body = {}) =>
  answer(await fetch(`/playground/${path}`, { method: "POST", body: JSON.stringify(body) }));

export const postForm = async (path, form) => answer(await fetch(`/playground/${path}`, { method: "POST", body: form }));

export const putFaults = async (rules) => answer(await fetch("/playground/faults", { method: "PUT", body: JSON.stringify(rules) }));

export const fileUrl = (fileId) => `/playground/files/${encodeURIComponent(fileId)}`;

// Calls `on(event)` for every event. The browser reconnects by itself; `hello` then asks for a fresh look.
export function follow(on) {
  const source = new EventSource("/playground/events");
  source.onmessage = (message) => on(JSON.parse(message.data));
  source.onerror = () => on({ kind: "lost" });
  return source;
}
