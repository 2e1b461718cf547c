// Who the person at the page is: chosen by their picture above the chats, or by name above the conversation.

import { byId, el, hue, initials } from "./dom.js";

export class People {
  // `onChoose(id)` is called when somebody else is chosen.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.id = null;
    this.names = new Map();
    byId("people").addEventListener("change", (event) => this.onChoose(Number(event.target.value)));
    byId("as").addEventListener("change", (event) => this.onChoose(Number(event.target.value)));
  }

  // `people` are {id, name}; whoever was chosen stays.
  setAll(people) {
    this.names = new Map(people.map(({ id, name }) => [id, name]));
    byId("people").replaceChildren(...people.map((one) => this.choice(one)));
    byId("as").replaceChildren(...people.map(({ id, name }) => el("option", { value: id }, name)));
    this.choose(this.names.has(this.id) ? this.id : people[0]?.id);
  }

  get name() {
    return this.names.get(this.id) ?? "";
  }

  choose(id) {
    this.id = id;
    byId("as").value = id;
    const radio = byId("people").querySelector(`input[value="${id}"]`);
    if (radio) radio.checked = true;
    radio?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // How many messages the bot has sent this person that they have not seen.
  setUnread(id, count) {
    const badge = byId("people").querySelector(`input[value="${id}"] ~ .badge`);
    if (!badge) return;
    badge.hidden = !count;
    badge.replaceChildren(String(count), el("span", { class: "visually-hidden" }, " unread"));
  }

  // `badgeOf(id)` makes what is shown below a name.
  setBadges(badgeOf) {
    for (const id of this.names.keys()) {
      byId("people").querySelector(`input[value="${id}"] ~ .person-role`).replaceChildren(badgeOf(id));
    }
  }

  choice({ id, name }) {
    return el("label", { class: "person", title: name },
      el("input", { type: "radio", name: "person", value: id }),
      el("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": hue(id) } }, initials(name)),
      el("span", { class: "person-name" }, name),
      el("span", { class: "person-role" }),
      el("span", { class: "badge", hidden: true }));
  }
}
