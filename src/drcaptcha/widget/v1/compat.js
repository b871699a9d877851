// Pages written for reCAPTCHA, hCaptcha or Turnstile: the functions that these published, done by <dr-captcha>.

const PLACES = { recaptcha: ".g-recaptcha", hcaptcha: ".h-captcha", turnstile: ".cf-turnstile" };

/** Give `theirs`, the global object of a service, its functions; return the selector of the places to fill. */
export function start(kind, theirs, { api, adopt, render, widget, once }, asked) {
  Object.assign(theirs, {
    render: (place, options) => render(place, options, kind),
    reset: api.reset,
    remove: api.remove,
    getResponse: (id) => api.getResponse(id) || (kind === "turnstile" ? undefined : ""),
    isExpired: api.isExpired,
    ready: theirs.ready,
  });
  if (kind === "hcaptcha") {
    theirs.getRespKey = () => "";
    theirs.close = (id) => widget(id)?.close();
    theirs.execute = (id, options) => {
      const solved = api.execute(id);
      if (!options?.async) return void solved.catch(() => {});
      return solved.then((response) => ({ response, key: "" }), ({ message }) => Promise.reject(message));
    };
  } else if (kind === "turnstile") {
    theirs.execute = (place, options) => {
      api.execute(widget(place) ? place : render(place, options, kind)).catch(() => {});
    };
    theirs.implicitRender = () => document.querySelectorAll(PLACES[kind]).forEach((place) => adopt(place, kind));
  } else {
    // Version 3 names a site key and an action, and expects a promise; version 2 names a widget or nothing.
    theirs.execute = (which, options) => {
      if (options || (typeof which === "string" && which === asked)) return once(which, options?.action, kind);
      const solved = api.execute(which);
      solved.catch(() => {});
      return solved;
    };
  }
  return PLACES[kind];
}
