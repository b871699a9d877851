/* Tells at once what the weights of a form would be worth on the validation glyphs, and sets a slider beside each. */

const PAUSE = 60;
const STEP = 0.01;

const box = document.querySelector("[data-preview]");
const form = box?.closest("form") ?? document.querySelector("#ensemble_form");
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2 });
const loss = new Intl.NumberFormat("en", { minimumFractionDigits: 4, maximumFractionDigits: 4 });

const field = (weight, name) => form.elements[weight.name.replace(/weight$/, name)];
const isMember = (element) => /^memberships-\d+-weight$/.test(element.name);

function members() {
  return [...form.elements]
    .filter(isMember)
    .filter((weight) => field(weight, "network")?.value && !field(weight, "DELETE")?.checked);
}

/* The slider moves the number and the number the slider; either can be used with the keyboard alone. */
function addSlider(weight) {
  if (weight.dataset.slider || weight.disabled) return;
  weight.dataset.slider = "yes";
  const slider = document.createElement("input");
  const follow = () => {
    slider.max = Math.max(1, Number(weight.value) || 0);
    slider.value = weight.value;
  };
  slider.type = "range";
  slider.className = "weight-slider";
  slider.min = 0;
  slider.step = STEP;
  slider.setAttribute("aria-label", `Weight of ${named(weight)}`);
  follow();
  slider.addEventListener("input", () => {
    weight.value = slider.value;
    ask();
  });
  weight.addEventListener("input", follow);
  weight.addEventListener("weighed", follow);
  weight.after(slider);
}

function named(weight) {
  const network = field(weight, "network");
  return network?.selectedOptions?.[0]?.text ?? "a member";
}

let timer = 0;
let latest = 0;

function ask() {
  clearTimeout(timer);
  timer = setTimeout(() => request(false), PAUSE);
}

async function request(best) {
  const rows = members();
  const status = box.querySelector("[data-status]");
  if (!rows.length) return;
  const mine = ++latest;
  const body = {
    members: rows.map((weight) => [Number(field(weight, "network").value), Number(weight.value)]),
    pooling: form.elements.pooling.value,
    correction: form.elements.correction.value || 0,
    best,
  };
  try {
    const response = await fetch(box.dataset.preview, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body: JSON.stringify(body),
    });
    const found = await response.json();
    if (mine !== latest) return;
    if (found.error) {
      status.textContent = found.error;
      return;
    }
    if (best) take(rows, found);
    show(found);
  } catch {
    if (mine === latest) status.textContent = "The server does not answer; the figures may be old.";
  }
}

function take(rows, found) {
  rows.forEach((weight, index) => {
    weight.value = found.weights[index].toFixed(4);
    weight.dispatchEvent(new Event("weighed"));
  });
  form.elements.pooling.value = found.pooling;
  form.elements.correction.value = found.correction;
}

function show(found) {
  const count = found.glyphs.toLocaleString("en");
  box.querySelector("[data-accuracy]").textContent = percent.format(found.accuracy);
  box.querySelector("[data-note]").textContent = `of ${count} validation glyphs right, each class counting alike`;
  box.querySelector("[data-status]").textContent =
    `Log-loss ${loss.format(found.log_loss)}; 95 % interval ${percent.format(found.low)} to ${percent.format(found.high)}.`;
}

function start() {
  document.querySelector("#memberships-group")?.append(box); // Beside the weights that it speaks of.
  box.hidden = false;
  form.addEventListener("input", (event) => {
    if (event.target.type !== "range") ask();
  });
  form.addEventListener("change", ask);
  document.addEventListener("formset:added", () => members().forEach(addSlider));
  box.querySelector("[data-best]").addEventListener("click", () => request(true));
  [...form.elements].filter(isMember).forEach(addSlider);
  ask();
}

if (box && form?.elements.pooling) start();
