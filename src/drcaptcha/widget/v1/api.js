// DrCaptcha: loads the element <dr-captcha>, turns marked places of the page into it, and gives pages window.drcaptcha.
// Query: render=explicit, onload=NAME, hl=LANGUAGE, compat=recaptcha|hcaptcha|turnstile. See docs/widget.md.
(() => {
  "use strict";
  const PATHS = {
    "/widget/v1/api.js": "",
    "/recaptcha/api.js": "recaptcha",
    "/recaptcha/enterprise.js": "recaptcha",
    "/1/api.js": "hcaptcha",
    "/turnstile/v0/api.js": "turnstile",
  };
  const VERSION = ""; // Set by the server: under an address with the version a browser keeps the parts for a year.
  const ours = (script) => script && script.src && new URL(script.src).pathname in PATHS;
  const script = ours(document.currentScript)
    ? document.currentScript
    : [...document.scripts].reverse().find(ours);
  if (!script) return;
  const address = new URL(script.src);
  const base = new URL(`/widget/v1/${VERSION}`, address);
  const query = address.searchParams;
  const kind = query.get("compat") || PATHS[address.pathname];
  const names = { recaptcha: "grecaptcha", hcaptcha: "hcaptcha", turnstile: "turnstile" };
  // A browser remembers that a module failed, so it is asked for by another address.
  const load = (name, tried = 0) =>
    import(new URL(tried ? `${name}?${tried}` : name, base).href).catch(async (error) => {
      if (tried >= 3) throw error;
      await new Promise((resume) => setTimeout(resume, 1000 * 2 ** tried));
      return load(name, tried + 1);
    });

  const parsed = new Promise((resolve) => {
    if (document.readyState !== "loading") resolve();
    else document.addEventListener("DOMContentLoaded", resolve, { once: true });
  });
  const loaded = Promise.all([load("element.js"), kind in names && load("compat.js"), load("style.js")]);

  // What a page may call before everything is there.
  const api = (window.drcaptcha ??= {});
  api.ready = (callback) => void loaded.then(() => callback());
  const theirs = names[kind] && (window[names[kind]] ??= {});
  if (theirs) theirs.ready = api.ready;
  if (theirs && kind === "recaptcha") theirs.enterprise = theirs;
  else if (theirs) {
    // The others' scripts come in one piece: pages call whatever they see at once.
    let early = 0;
    for (const name of ["execute", "reset", "remove"]) theirs[name] = (...given) => loaded.then(() => theirs[name](...given));
    theirs.render = (place, options) => {
      const id = `early-${early++}`;
      loaded.then(([{ render }]) => render(place, options, kind, id));
      return id;
    };
    theirs.getResponse = theirs.isExpired = () => undefined;
  }

  loaded.then(async ([element, compat]) => {
    element.start({ base, load, language: query.get("hl") });
    Object.assign(api, element.api);
    const places = theirs ? compat.start(kind, theirs, element, query.get("render")) : ".dr-captcha";
    await parsed;
    if (query.get("render") !== "explicit") {
      for (const place of document.querySelectorAll(places)) element.adopt(place, kind);
    }
    const onload = window[query.get("onload")];
    if (typeof onload === "function") onload();
    // What pages for reCAPTCHA put down to be called, by the lines that it published for this.
    if (kind === "recaptcha") for (const waiting of window.___grecaptcha_cfg?.fns?.splice(0) ?? []) waiting();
  });
})();
