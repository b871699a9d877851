// The element <dr-captcha> and the functions by which a page speaks to it.

import { sheet } from "./style.js";

const NAME = "drcaptcha-response";
const FIELDS = {
  recaptcha: ["g-recaptcha-response"],
  hcaptcha: ["h-captcha-response", "g-recaptcha-response"],
  turnstile: ["cf-turnstile-response"],
};
const TRIES = 4;
const REPLAYS = 3;
const RENEWALS = 3; // So often a challenge is renewed while nobody types.
const PATIENCE = 20; // Seconds after which a request is taken for lost.
const LIFE = 120; // Seconds for which a response can be redeemed.
const RTL = ["ar", "fa", "he", "ur"];
const LANGUAGES = ["ar", "cs", "da", "de", "es", "fa", "fi", "fr", "he", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "uk", "zh"];
export const ENGLISH = {
  start: "I am human: show the characters",
  type: "Type the {n} characters in the picture",
  hear: "Type the {n} characters that you hear",
  picture: "A picture of {n} handwritten characters. They can also be heard, where a button offers it.",
  check: "Check",
  another: "Another one",
  listen: "Listen instead",
  look: "Picture instead",
  replay: "Play again",
  unread: "Can't read one",
  loading: "Loading…",
  count: "{k} of {n}",
  wrong: "That was not right. Here is another one.",
  renewed: "The time was over. Here is another one.",
  solved: "You are human. Thank you.",
  expired: "That was a while ago. Please show it once more.",
  failed: "The captcha can't be reached. Try again.",
  busy: "Too many tries. Wait {s} seconds, then try again.",
  refused: "This page can't use the captcha: {why}",
  closed: "This site has closed its captcha.",
  test: "Test key: this protects nothing",
  required: "Please show that you are human.",
  close: "Close",
};
const ICONS = {
  another: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  listen: "M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  look: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 5M15 9h.01",
  replay: "M7 5l12 7-12 7z",
  close: "M6 6l12 12M18 6L6 18",
};

const settings = { base: new URL(".", import.meta.url), language: null };
const texts = new Map([["en", Promise.resolve(ENGLISH)]]);
const widgets = new Map();
let count = 0;
// The visitor's system may go dark, or over to more contrast, while the page is open.
for (const taste of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(taste).addEventListener("change", () => widgets.forEach((one) => one.dress()));
}
// Who comes back to a page that was kept as it was finds no response there that has been sent already.
addEventListener("pageshow", ({ persisted }) => persisted && widgets.forEach((one) => one.response && one.reset()));

// The button that is being pressed, for as long as what follows from it.
let pressed = null;
addEventListener("click", (event) => {
  pressed = event.composedPath()[0].closest?.("button, input");
  setTimeout(() => (pressed = null));
}, true);

/** Where the script came from, what loads its parts, and the language that its address asks for. */
export function start(given) {
  Object.assign(settings, given);
}

/** Return the texts of the first of these languages that there is. */
function textsOf(wanted) {
  const language = wanted
    .filter(Boolean)
    .map((one) => one.toLowerCase().split(/[-_]/)[0].replace("iw", "he"))
    .find((one) => one === "en" || LANGUAGES.includes(one)) ?? "en";
  if (!texts.has(language)) {
    const address = new URL(`languages/${language}.json`, settings.base);
    texts.set(language, fetch(address, { credentials: "omit" }).then((answer) => answer.json())
      .then((found) => ({ ...ENGLISH, ...found }))
      .catch(() => (texts.delete(language), ENGLISH)));
  }
  return texts.get(language).then((found) => ({ language: found === ENGLISH ? "en" : language, ...found }));
}

/** Make an element with attributes, listeners (on…) and what it holds. */
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...content);
  return element;
}

function icon(path, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  if (label) svg.classList.add(label);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

class Refused extends Error {
  constructor(status, body, after) {
    super(body?.error?.message ?? `status ${status}`);
    this.status = status;
    this.code = body?.error?.code ?? "network-error";
    this.after = after;
  }
}

/** Ask the server; where the network or the server fails, again after a while. */
async function ask(path, body) {
  for (let tried = 1; ; tried++) {
    let answer;
    try {
      answer = await fetch(new URL(path, settings.base), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(1000 * PATIENCE),
      });
    } catch (error) {
      if (tried >= TRIES) {
        console.warn("DrCaptcha: no answer. Does the site list this host?");
        throw new Refused(0);
      }
    }
    if (answer?.ok) return answer.json();
    if (answer && (answer.status < 500 || tried >= TRIES)) {
      const said = await answer.json().catch(() => null);
      throw new Refused(answer.status, said, Number(answer.headers.get("Retry-After")) || 60);
    }
    await pause(500 * 2 ** tried);
  }
}

const bytesOf = (address) =>
  Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (character) => character.charCodeAt(0));

export class DrCaptcha extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["theme", "data-theme", "size", "data-size", "language", "data-language", "required"];

  #internals = this.attachInternals();
  #root = this.attachShadow({ mode: "open", delegatesFocus: true });
  #text = ENGLISH;
  #challenge = null;
  #response = "";
  #expired = false;
  #kind = "picture";
  #timer = 0;
  #until = 0;
  #renewed = 0;
  #checking = false;
  #run = 0;
  #stop = new AbortController();
  #fields = [];
  #waiting = [];
  #sound = null;
  #box = null;
  #said = null;
  options = {};
  widget = `drcaptcha-${count++}`;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    // What can't be seen can't be pointed at, so who sends the form is asked. (A page may look whether all is valid at any time.)
    this.addEventListener("invalid", (event) => {
      if (!this.invisible || !pressed || pressed.form !== this.#internals.form) return;
      event.preventDefault();
      this.execute().catch(() => {});
    });
  }

  /** What the page says under this name: by `render`, or in an attribute with or without data-. */
  option(name, otherwise = null) {
    return this.options[name] ?? this.getAttribute(`data-${name}`) ?? this.getAttribute(name) ?? otherwise;
  }

  get response() {
    return this.#response;
  }

  get expired() {
    return this.#expired;
  }

  get invisible() {
    return this.option("size") === "invisible";
  }

  async connectedCallback() {
    widgets.set(this.widget, this);
    if (!this.#fields.length) {
      const named = this.option("response-field-name") ?? this.option("name");
      const field = this.option("response-field");
      const names = named ? [named] : FIELDS[this.options.compat] ?? [NAME];
      if (field !== "false" && field !== false) {
        // Pages written for reCAPTCHA look for the field by its id, too.
        // A copy of the page brings fields along with a response that was another's.
        for (const old of [...this.children]) names.includes(old.name) && old.remove();
        const id = (name) => (this.options.compat && !document.getElementById(name) ? name : undefined);
        this.#fields = names.map((name) => make("input", { type: "hidden", name, id: id(name) }));
        this.append(...this.#fields);
      }
    }
    this.dress();
    if (this.#until) this.#expire(this.#until - Date.now());
    if (this.#checking) this.load({ focus: false });
    await this.#speak();
    if (this.isConnected && !this.#challenge && !this.#response) this.#rest();
  }

  disconnectedCallback() {
    widgets.delete(this.widget);
    this.#run++;
    clearTimeout(this.#timer);
    this.source?.stop();
    queueMicrotask(() => this.isConnected || this.#settle()); // It may only be moved.
  }

  attributeChangedCallback(name) {
    if (!this.isConnected) return;
    this.dress();
    if (name.endsWith("language")) this.#speak().then(() => this.reset());
  }

  formResetCallback() {
    this.reset();
  }

  dress() {
    const theme = this.option("theme", "auto");
    const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    const more = theme === "contrast" || (theme === "auto" && matchMedia("(prefers-contrast: more)").matches);
    this.classList.toggle("contrast", more);
    this.classList.toggle("dark", dark && !more);
    for (const size of ["compact", "flexible"]) this.classList.toggle(size, this.option("size") === size);
    this.#validate();
  }

  async #speak() {
    const asked = this.option("language");
    const wanted = [asked === "auto" ? null : asked, settings.language, document.documentElement.lang, ...navigator.languages];
    this.#text = await textsOf(wanted);
  }

  #validate() {
    const missing = this.hasAttribute("required") && !this.#response;
    const anchor = this.#root.querySelector("button, input");
    if (missing) this.#internals.setValidity({ valueMissing: true }, this.#text.required, anchor ?? undefined);
    else this.#internals.setValidity({});
  }

  /** Tell the page: by an event, and by the function that it named. */
  #tell(name, detail) {
    // The page's own listeners for the others mean something else.
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: !["error", "open", "close"].includes(name) }));
    const called = this.option({ success: "callback" }[name] ?? `${name}-callback`) ?? (name === "timeout" && this.option("chalexpired-callback"));
    const callback = typeof called === "string" ? window[called] : called;
    if (typeof callback === "function") callback(detail);
  }

  /** Make what stays: a live region has to be there before something is said in it. */
  #build() {
    this.#said = make("p", { class: "said", role: "status" });
    this.#box = make("div", { class: "box", role: "group", "aria-label": "DrCaptcha" }, this.#said);
    if (this.invisible) {
      this.#root.append(make("dialog", { "aria-label": "DrCaptcha", onclose: (event) => this.#closed(event) }, this.#box));
    } else this.#root.append(this.#box);
  }

  #show(...content) {
    const { language } = this.#text;
    const held = this.#root.activeElement !== null;
    if (!this.#box) this.#build();
    this.#box.lang = language;
    this.#box.dir = RTL.includes(language) ? "rtl" : "ltr";
    while (this.#box.firstChild !== this.#said) this.#box.firstChild.remove();
    if (this.test) content.unshift(make("p", { class: "test" }, this.#text.test));
    this.#said.before(...content.filter(Boolean));
    if (this.option("tabindex")) {
      for (const element of this.#box.querySelectorAll("button, input")) element.tabIndex = Number(this.option("tabindex"));
    }
    if (held) this.#root.querySelector("input, button")?.focus();
    this.#validate();
  }

  #say(text, bad = false) {
    this.#said.classList.toggle("bad", bad);
    this.#said.textContent = text;
  }

  /** Let what there is be over in so many milliseconds, wherever the element is moved meanwhile. */
  #expire(milliseconds) {
    this.#until = Date.now() + milliseconds;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#outlived(), milliseconds);
  }

  /** Wait for the visitor to begin: until then nothing is asked of the server. */
  #rest(text = "") {
    clearTimeout(this.#timer);
    this.source?.stop();
    this.#until = 0;
    this.#renewed = 0;
    this.#checking = false;
    this.#challenge = null;
    const button = make("button", { type: "button", class: "open", onclick: () => button.ariaDisabled || this.#open() }, make("span", { class: "tick" }), this.#text.start);
    this.#show(button);
    this.#say(text, Boolean(text));
  }

  #set(response) {
    this.#response = response;
    for (const field of this.#fields) field.value = response;
    this.#validate();
  }

  #open() {
    this.#tell("open");
    this.load();
  }

  /** Ask for a challenge and show it. */
  async load({ say = "", kind = this.#kind, focus = true } = {}) {
    const run = ++this.#run;
    clearTimeout(this.#timer);
    this.#until = 0;
    this.#checking = false;
    this.#kind = kind;
    this.#set("");
    const waiting = make("button", { type: "button", class: "open spin", "aria-disabled": "true" }, make("span", { class: "tick" }), this.#text.loading);
    if (!this.#challenge) this.#show(waiting);
    this.#say(this.#challenge ? this.#text.loading : "");
    if (focus) this.#root.querySelector("button, input")?.focus();
    let challenge;
    try {
      // Without one the service's own site would ask, and nobody could redeem what is earned.
      if (!this.option("sitekey")) throw new Refused(400, { error: { code: "missing-sitekey", message: "it has no sitekey." } });
      challenge = await ask("/api/v1/challenges", {
        sitekey: this.option("sitekey", ""),
        action: this.option("action", ""),
        cdata: this.option("cdata", this.option("cData", "")),
        ...(kind === "audio" && { kind, language: this.#text.language }),
      });
      const bytes = bytesOf(challenge.audio ?? challenge.image);
      challenge.shown = kind === "audio" ? await this.#hearing().decodeAudioData(bytes.buffer) : await createImageBitmap(new Blob([bytes]));
    } catch (error) {
      if (run === this.#run) this.#fault(error);
      return;
    }
    if (run !== this.#run) return;
    this.#challenge = challenge;
    this.test = challenge.test === true;
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#work();
    this.#question(kind === "audio" ? this.#listen(challenge) : this.#picture(challenge));
    this.#say(say, Boolean(say));
    if (focus) this.input.focus();
    this.#expire(1000 * challenge.expires_in);
  }

  #work() {
    const { signal } = this.#stop;
    this.working = settings.load("work.js").then(({ solve }) => solve(this.#challenge?.work, signal));
    this.working.catch(() => {});
  }

  #fault(error) {
    const { status, after } = error;
    const code = error instanceof Refused ? error.code : error.name;
    const texts = { 429: filled(this.#text.busy, { s: after }), 0: this.#text.failed };
    const refused = status && status < 500 && status !== 429;
    const text = code === "site-closed" ? this.#text.closed : texts[status] ?? (refused ? filled(this.#text.refused, { why: error.message }) : this.#text.failed);
    this.#rest(text);
    if (status === 429) {
      const button = this.#root.querySelector(".open");
      button.ariaDisabled = true; // Truly disabled it would lose the focus, and its reader the place.
      this.#timer = setTimeout(() => (button.ariaDisabled = null), Math.min(1000 * after, 2 ** 30));
    }
    this.#settle(null, new Error(code));
    this.#tell("error", code);
  }

  #picture({ shown, length }) {
    const label = filled(this.#text.picture, { n: length });
    const canvas = make("canvas", { class: "picture", role: "img", "aria-label": label, width: shown.width, height: shown.height });
    canvas.getContext("2d").drawImage(shown, 0, 0);
    return canvas;
  }

  /** Return what plays. Some browsers let only a press begin a sound, so a press calls this. */
  #hearing() {
    this.#sound ??= new AudioContext();
    this.#sound.resume();
    return this.#sound;
  }

  #listen({ shown }) {
    this.replays = REPLAYS;
    this.buffer = shown;
    this.#play();
    return null;
  }

  #play() {
    this.source?.stop();
    const sound = this.#hearing();
    this.source = new AudioBufferSourceNode(sound, { buffer: this.buffer });
    this.source.connect(sound.destination);
    this.source.start();
  }

  #question(picture) {
    const { length, audio_offered: offered } = this.#challenge;
    const said = this.#text;
    const audio = this.#kind === "audio";
    const counter = make("span", { class: "count", "aria-hidden": "true" });
    const tool = (name, onclick) => make("button", { type: "button", title: said[name], "aria-label": said[name], onclick }, icon(ICONS[name]));
    this.input = make("input", {
      id: "answer", type: "text", dir: "ltr", autocomplete: "off", autocapitalize: "off", autocorrect: "off", spellcheck: "false",
      enterkeyhint: "send", maxlength: 2 * length,
      oninput: () => {
        this.#renewed = 0;
        counter.textContent = filled(said.count, { k: this.#typed().length, n: length });
      },
      onkeydown: (event) => {
        // Enter checks the answer; it does not send the page's form.
        if (event.key === "Enter" && !event.isComposing) (event.preventDefault(), this.check());
      },
    });
    const replay = audio && tool("replay", () => {
      this.#play();
      replay.disabled = --this.replays <= 0;
      if (replay.disabled) this.input.focus();
    });
    const unread = !audio && make("button", { type: "button", class: "wide", onclick: () => {
      this.input.setRangeText("?", this.input.selectionStart, this.input.selectionEnd, "end");
      this.input.dispatchEvent(new Event("input"));
      this.input.focus();
    } }, `? ${said.unread}`);
    const tools = [
      tool("another", () => this.#checking || this.load()),
      replay,
      offered && tool(audio ? "look" : "listen", () => {
        if (this.#checking) return;
        if (!audio) this.#hearing();
        this.source?.stop();
        this.load({ kind: audio ? "picture" : "audio" });
      }),
      unread,
      this.invisible && tool("close", () => this.close()),
    ];
    this.#show(
      picture,
      make("label", { for: "answer" }, filled(audio ? said.hear : said.type, { n: length })),
      make("div", { class: "row" }, make("span", { class: "field" }, this.input, counter), make("button", { type: "button", class: "main", onclick: () => this.check() }, said.check)),
      make("div", { class: "tools" }, ...tools.filter(Boolean)),
    );
    counter.textContent = filled(said.count, { k: 0, n: length });
  }

  #typed() {
    return [...this.input.value.replace(/\s/g, "")];
  }

  /** Send what was typed. */
  async check() {
    if (this.#checking) return;
    if (!this.#typed().length) return void this.input.focus();
    const run = ++this.#run;
    const busy = (so) => {
      this.#checking = so;
      for (const one of this.#root.querySelectorAll("input, button")) one.setAttribute("aria-disabled", so);
    };
    this.#say(this.#text.loading);
    busy(true);
    let judged;
    try {
      const work = await this.working;
      judged = await ask("/api/v1/answers", { challenge: this.#challenge.challenge, answer: this.input.value, ...(work && { work }) });
    } catch (error) {
      if (run !== this.#run) return;
      if (error.status === 409 || error.status === 410) return void this.load({ say: this.#text.renewed });
      if (error.status && error.status < 500) return void this.#fault(error);
      // The network or the server failed: what was typed stays, and can be sent again.
      if (!(error instanceof Refused)) this.#work();
      busy(false);
      this.#say(this.#text.failed, true);
      return void this.#tell("error", error.code);
    }
    if (run !== this.#run) return;
    if (!judged.passed) return void this.load({ say: this.#text.wrong });
    this.#pass(judged.response);
  }

  #pass(response) {
    this.source?.stop();
    this.#checking = false;
    this.#challenge = null;
    this.#expired = false;
    const tick = icon("M5 12l5 5 9-10", "tick");
    this.#show(make("p", { class: "solved", tabindex: "-1" }, tick, this.#text.solved));
    this.#say("");
    if (!this.invisible) this.#root.querySelector(".solved").focus();
    this.#set(response);
    this.#expire(1000 * LIFE);
    this.#settle(response);
    this.close("left");
    this.#tell("success", response);
  }

  /** A challenge is renewed where somebody is at it; a response that nobody used is void. */
  #outlived() {
    if (this.#response) {
      this.#set("");
      this.#expired = true;
      this.#rest(this.#text.expired);
      this.#tell("expired");
    } else {
      this.#tell("timeout");
      const there = !document.hidden && this.#root.activeElement !== null && ++this.#renewed <= RENEWALS;
      if (there) this.load({ say: this.#text.renewed });
      else this.#rest(this.#text.expired);
    }
  }

  #settle(response, error = new Error("challenge-closed")) {
    for (const { resolve, reject } of this.#waiting.splice(0)) response ? resolve(response) : reject(error);
  }

  /** Close the window; with a reason where it is not the visitor who does. What is told then comes later: it may be open again. */
  close(reason) {
    this.#root.querySelector("dialog")?.close(reason);
  }

  #closed({ target }) {
    if (target.open || target.returnValue) return;
    if (this.#checking) this.#challenge = null;
    this.#run++;
    this.#settle();
    this.#tell("close");
  }

  /** Begin as if the visitor had asked for it; return a promise of the response. */
  execute() {
    if (this.#response) return Promise.resolve(this.#response);
    const solved = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#speak().then(() => {
      if (!this.#challenge) this.#open();
      const dialog = this.#root.querySelector("dialog");
      if (dialog && !dialog.open) {
        dialog.returnValue = "";
        dialog.showModal();
      }
    });
    return solved;
  }

  reset() {
    this.#run++;
    this.#expired = false;
    this.#set("");
    this.#rest();
    this.#settle();
    this.close("left");
  }
}

/** Turn an element, or one by its id or selector, into the element itself. */
export function find(place) {
  if (typeof place !== "string") return place;
  return document.getElementById(place) ?? document.querySelector(place);
}

/** Return the widget with this id, in this place, or the first of all. */
export function widget(which) {
  if (which === undefined || which === null) return widgets.values().next().value;
  if (widgets.has(which)) return widgets.get(which);
  if (typeof which === "number") return widgets.get(`drcaptcha-${which}`);
  const place = find(which);
  return [...widgets.values()].find((one) => one === place || (place && one.parentElement === place));
}

const taken = (place) => place.querySelector("dr-captcha") ?? (place.matches("button, input") && place.nextSibling?.localName === "dr-captcha");

/** Put a widget into a place; return its id, a number where the service's own was one. A button asks when it is pressed. */
export function render(place, options = {}, compat = "", id = undefined) {
  const parent = find(place);
  if (!parent) throw new Error(`DrCaptcha: there is no ${place} to put the widget into.`);
  if (taken(parent)) throw new Error("DrCaptcha: there is a widget in this place already.");
  const element = document.createElement("dr-captcha");
  if (id) element.widget = id;
  for (const { name, value } of parent.attributes) if (name.startsWith("data-")) element.options[name.slice(5)] = value;
  Object.assign(element.options, options, { compat });
  if (parent.matches("button, input")) {
    element.options.size = "invisible";
    parent.after(element);
    parent.addEventListener("click", (event) => {
      if (!element.isConnected) return;
      event.preventDefault();
      element.execute().catch(() => {});
    });
  } else parent.append(element);
  widgets.set(element.widget, element); // The place may not be in the page yet.
  return compat === "recaptcha" ? Number(element.widget.slice("drcaptcha-".length)) : element.widget;
}

/** Fill a place that the page has marked with a class. */
export function adopt(place, compat) {
  // A hidden field of this class waits for what the page itself puts into it.
  if (!place.matches("dr-captcha, [type=hidden]") && !taken(place)) render(place, {}, compat);
}

/** Ask once, in a window of its own; return a promise of the response. */
export function once(sitekey, action, compat) {
  const home = make("div");
  document.body.append(home);
  const one = widget(render(home, { sitekey, action, size: "invisible", "response-field": false }, compat));
  return one.execute().finally(() => home.remove());
}

export const api = {
  render: (place, options) => render(place, options),
  reset: (id) => widget(id)?.reset(),
  execute: (id) => widget(id)?.execute() ?? Promise.reject(new Error("there is no widget")),
  getResponse: (id) => widget(id)?.response ?? "",
  isExpired: (id) => widget(id)?.expired ?? false,
  remove: (id) => widget(id)?.remove(),
};

customElements.define("dr-captcha", DrCaptcha);
