// Files that were picked, pasted or dropped: shown with a caption before they go, several as an album.

import { byId, bytes, el, icon, ICONS } from "./dom.js";

const ALBUM_MAX = 10;
const CAPTION_UNITS_MAX = 1024;

export class Sending {
  // `send(files, caption)` sends one album and says whether it went; `sent()` is called when all have gone.
  constructor({ send, sent }) {
    Object.assign(this, { send, sent, files: [], urls: [] });
    this.dialog = byId("sending");
    this.caption = byId("sending-caption");
    byId("sending-cancel").addEventListener("click", () => this.dialog.close());
    byId("sending-form").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.caption.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(); }
    });
    this.dialog.addEventListener("close", () => this.forget());
  }

  // More files join those that are shown. A text that is too long for a caption stays where it was typed.
  open(files, text) {
    this.files.push(...files);
    if (!this.dialog.open) {
      this.takesText = text.length <= CAPTION_UNITS_MAX;
      this.caption.value = this.takesText ? text : "";
      this.dialog.showModal();
    }
    this.draw();
    this.caption.focus();
  }

  async submit() {
    if (this.busy) return;
    this.busy = true;
    let gone = true;
    while (gone && this.files.length) {
      gone = await this.send(this.files.slice(0, ALBUM_MAX), this.caption.value);
      if (gone) { this.files.splice(0, ALBUM_MAX); this.caption.value = ""; }
    }
    this.busy = false;
    if (!gone) return this.draw(); // refused: what has not gone is still here
    this.dialog.close();
    this.sent({ withText: this.takesText });
  }

  forget() {
    this.files = [];
    this.draw();
  }

  remove(file) {
    this.files = this.files.filter((one) => one !== file);
    if (this.files.length) this.draw();
    else this.dialog.close();
    this.caption.focus();
  }

  draw() {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    const count = this.files.length;
    byId("sending-title").textContent = count === 1 ? "Send a file" : `Send ${count} files as an album`;
    byId("sending-files").replaceChildren(...this.files.map((file) => this.item(file)));
  }

  item(file) {
    return el("li", { class: "chosen" }, this.preview(file),
      el("span", { class: "chosen-name" }, el("b", {}, file.name), el("span", { class: "muted" }, bytes(file.size))),
      el("button", { type: "button", class: "icon-button", "aria-label": `Leave out ${file.name}`, onclick: () => this.remove(file) }, icon(ICONS.close)));
  }

  preview(file) {
    if (!/^image\/(png|jpeg|webp|gif)$/.test(file.type)) return el("span", { class: "glyph" }, icon(ICONS.file));
    const url = URL.createObjectURL(file);
    this.urls.push(url);
    return el("img", { src: url, alt: "" });
  }
}
