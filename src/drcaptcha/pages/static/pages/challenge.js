/** Solves captchas without loading the page again. The form works without this too. */

import { post } from "./api.js";

const SPENT = new Set(["challenge-used", "challenge-expired", "challenge-invalid"]);
const RENEWAL_LEAD = 5; // Seconds before its end at which a picture is replaced.

class ChallengeForm {
  #form;
  #expiry;
  #busy = false;
  #solved = false;

  constructor(form) {
    this.#form = form;
    form.addEventListener("submit", (event) => this.#run(event, () => (this.#solved ? this.#renew() : this.#check())));
    for (const button of form.querySelectorAll("[data-renew]")) {
      button.addEventListener("click", (event) => this.#run(event, () => this.#renew(button.dataset.renew)));
    }
  }

  /** Take over the challenge that came with the page, or fetch one. */
  async start() {
    if (this.#form.elements.challenge.value) {
      this.#watch(Number(this.#form.dataset.expires));
    } else {
      this.#form.hidden = false;
      await this.#guarded(() => this.#loadFirst());
    }
  }

  async #loadFirst() {
    const notice = document.querySelector("[data-unavailable]");
    try {
      await this.#load();
      notice.hidden = true;
    } catch (error) {
      this.#form.hidden = true;
      notice.textContent = error.message;
      notice.hidden = false;
    }
  }

  #find(selector) {
    return this.#form.querySelector(selector);
  }

  async #run(event, action) {
    event.preventDefault();
    await this.#guarded(action);
  }

  async #guarded(action) {
    if (this.#busy) return;
    this.#busy = true;
    this.#form.setAttribute("aria-busy", "true");
    try {
      await action();
    } catch (error) {
      this.#say("message", error.message);
    } finally {
      this.#busy = false;
      this.#form.removeAttribute("aria-busy");
    }
  }

  async #load(kind = this.#form.elements.kind.value) {
    const { challenge, image, audio, audio_offered: offered, length, expires_in: seconds } = await post(
      "/api/v1/challenges",
      { kind },
    );
    const { elements } = this.#form;
    elements.challenge.value = challenge;
    elements.kind.value = kind;
    elements.answer.value = "";
    elements.answer.minLength = 0;
    elements.answer.maxLength = length;
    elements.answer.disabled = false;
    if (image) this.#find("img").src = image;
    if (audio) this.#find("audio").src = audio;
    else this.#find("audio").removeAttribute("src");
    for (const part of this.#form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== kind;
    this.#find("[data-check]").textContent = "Check";
    this.#find("[data-renew=picture]").hidden = false;
    this.#find("[data-renew=audio]").hidden = !offered;
    this.#solved = false;
    this.#watch(seconds);
  }

  async #renew(kind) {
    await this.#load(kind);
    this.#say("");
    this.#form.elements.answer.focus();
  }

  async #check() {
    const { challenge, answer } = this.#form.elements;
    const typed = answer.value.replace(/\s/gu, "");
    if (typed.length !== answer.maxLength) {
      this.#say("message", `The line has ${answer.maxLength} characters, and you typed ${typed.length}.`);
      return answer.focus();
    }
    try {
      const { passed } = await post("/api/v1/answers", { challenge: challenge.value, answer: typed });
      await (passed ? this.#celebrate() : this.#tryAgain("failed"));
    } catch (error) {
      if (!SPENT.has(error.code)) throw error;
      await this.#tryAgain("message", `${error.message.split(".")[0]}. Here is a new one.`);
    }
  }

  #celebrate() {
    clearTimeout(this.#expiry);
    this.#solved = true;
    this.#form.elements.answer.disabled = true;
    this.#find("[data-check]").textContent = "Read another";
    for (const button of this.#form.querySelectorAll("[data-renew]")) button.hidden = true;
    this.#say("passed");
    this.#find("[data-check]").focus();
  }

  async #tryAgain(outcome, text) {
    await this.#load();
    this.#say(outcome, text);
    this.#form.elements.answer.focus();
  }

  /** Replace the picture when it runs out; in a hidden tab, only once somebody looks at it again. */
  #watch(seconds) {
    clearTimeout(this.#expiry);
    const replace = () =>
      this.#guarded(async () => {
        await this.#load();
        this.#say("message", "It had grown too old, so here is a new one.");
      });
    this.#expiry = setTimeout(
      () => {
        if (document.hidden) document.addEventListener("visibilitychange", replace, { once: true });
        else replace();
      },
      Math.max(seconds - RENEWAL_LEAD, 1) * 1000,
    );
  }

  #say(outcome, text) {
    for (const line of this.#form.querySelectorAll("[data-outcome]")) {
      line.hidden = line.dataset.outcome !== outcome;
      if (!line.hidden && text) line.textContent = text;
    }
  }
}

for (const form of document.querySelectorAll("[data-challenge-form]")) {
  new ChallengeForm(form).start();
}
