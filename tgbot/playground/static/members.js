// Who is in a group, and who owns it; each of the people can be chosen to write.

import { byId, el, hue, initials } from "./dom.js";

const ROLES = { creator: "owner", administrator: "admin", member: "member", restricted: "may not write", kicked: "removed" };

export class Members {
  // `onChoose(id)` writes as that person from now on.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.dialog = byId("members");
    byId("members-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  // `members` are ChatMember objects, `me` is whoever writes now.
  show(title, members, me) {
    byId("members-title").textContent = title;
    byId("members-list").replaceChildren(...members.map((member) => this.item(member, me)));
    this.dialog.showModal();
  }

  item({ user, status }, me) {
    const role = user.is_bot ? `bot, ${ROLES[status]}` : ROLES[status];
    return el("li", { class: "member" },
      el("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": hue(user.id) } }, initials(user.first_name)),
      el("span", { class: "member-name" }, el("b", {}, user.first_name), el("span", { class: "muted" }, role)),
      user.is_bot ? null : this.action(user, me));
  }

  action(user, me) {
    if (user.id === me) return el("span", { class: "muted" }, "you");
    const choose = () => { this.dialog.close(); this.onChoose(user.id); };
    return el("button", { type: "button", class: "quiet", onclick: choose }, `Write as ${user.first_name}`);
  }
}
