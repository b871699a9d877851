/** Pen strokes on a square canvas. Places are shares of its side, so a drawing survives any change of size. */

const NIB = 0.055; // Width of the pen, as a share of the side.
const MIDDLE_PRESSURE = 0.5;
const FILL = 0.8; // Share of a picture's side that the drawing fills, however small it was drawn.
const WIDEST = 0.09; // Width of the pen in a picture at most: no letter drawn small becomes a blot.
const SMALLEST = 0.05; // Extent, as a share of the side, of the smallest drawing that is enlarged to fill a picture.

export class Drawing {
  #canvas;
  #strokes = [];
  #current = null;
  #changed;

  /** `changed` is called after each finished, undone or cleared stroke. */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#extend(event));
    canvas.addEventListener("pointerup", (event) => this.#end(event));
    canvas.addEventListener("pointercancel", (event) => this.#end(event));
    new ResizeObserver(() => this.#redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
  }

  get empty() {
    return this.#strokes.length === 0 && !this.#current;
  }

  undo() {
    this.#strokes.pop();
    this.#redraw();
    this.#changed();
  }

  clear() {
    this.#strokes = [];
    this.#redraw();
    this.#changed();
  }

  /** Return the drawing as a PNG data URL of `side` × `side` pixels, black on white whatever the page looks like. */
  toDataURL(side) {
    const copy = document.createElement("canvas");
    copy.width = copy.height = side;
    const context = copy.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    paint(context, enlarged(this.#strokes), side, "#000");
    return copy.toDataURL("image/png");
  }

  #begin(event) {
    if (event.button !== 0 || this.#current) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#current = { pointer: event.pointerId, points: [this.#point(event)] };
    this.#redraw();
  }

  #extend(event) {
    if (event.pointerId !== this.#current?.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.#current.points.push(this.#point(each));
    this.#redraw();
  }

  #end(event) {
    if (event.pointerId !== this.#current?.pointer) return;
    this.#strokes.push(this.#current.points);
    this.#current = null;
    this.#redraw();
    this.#changed();
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    // A mouse reports a constant pressure and a finger often none, so only a pen's is believed.
    const pressure = event.pointerType === "pen" && event.pressure ? event.pressure : MIDDLE_PRESSURE;
    return {
      x: (event.clientX - box.left) / box.width,
      y: (event.clientY - box.top) / box.height,
      width: NIB * (0.6 + 0.8 * pressure),
    };
  }

  #redraw() {
    const canvas = this.#canvas;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    const strokes = this.#current ? [...this.#strokes, this.#current.points] : this.#strokes;
    paint(context, strokes, side, getComputedStyle(canvas).color);
  }
}

/** Return the strokes moved to the middle and made as large as a picture holds. */
function enlarged(strokes) {
  const xs = strokes.flat().map((point) => point.x);
  const ys = strokes.flat().map((point) => point.y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = FILL / Math.max(right - left, bottom - top, SMALLEST);
  const place = ({ x, y, width }) => ({
    x: 0.5 + scale * (x - (left + right) / 2),
    y: 0.5 + scale * (y - (top + bottom) / 2),
    width: Math.min(scale * width, WIDEST),
  });
  return strokes.map((points) => points.map(place));
}

function paint(context, strokes, side, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) paintStroke(context, points, side);
}

/** Draw one stroke as curves from middle to middle of its points, each as wide as the pen was pressed there. */
function paintStroke(context, points, side) {
  const [first] = points;
  let from = first;
  for (const [index, point] of points.entries()) {
    const next = points[index + 1] ?? point;
    const to = { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    context.lineWidth = point.width * side;
    context.beginPath();
    context.moveTo(from.x * side, from.y * side);
    context.quadraticCurveTo(point.x * side, point.y * side, to.x * side, to.y * side);
    context.stroke();
    from = to;
  }
  if (points.length === 1) {
    context.beginPath();
    context.arc(first.x * side, first.y * side, (first.width * side) / 2, 0, 2 * Math.PI);
    context.fill();
  }
}
