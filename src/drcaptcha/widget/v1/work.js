// Proof of work: for each i find n so that SHA-256 of "salt:i:n" begins with so many zero bits.

const K = new Uint32Array(64);
const START = new Uint32Array(8);
{
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) prime &&= n % d !== 0;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    K[found++] = fraction(Math.cbrt(n));
  }
}

const words = new Int32Array(64);

/** Return the first word of SHA-256 of a short ASCII text (at most 119 characters) as a signed number. */
export function firstWord(text) {
  const blocks = text.length < 56 ? 1 : 2;
  const state = Int32Array.from(START);
  for (let block = 0; block < blocks; block++) {
    words.fill(0, 0, 16);
    for (let i = 64 * block; i < Math.min(text.length, 64 * block + 64); i++) {
      words[(i >> 2) & 15] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
    }
    if (text.length >= 64 * block && text.length < 64 * block + 64) {
      words[(text.length >> 2) & 15] |= 0x80 << (24 - 8 * (text.length & 3));
    }
    if (block === blocks - 1) words[15] = 8 * text.length;
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15];
      const y = words[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) | 0));
  }
  return state[0];
}

/** Yield now and then while searching; return the numbers in the end. */
export function* search({ salt, bits, count }) {
  const found = [];
  for (let i = 0; i < count; i++) {
    for (let n = 0; ; n++) {
      if (Math.clz32(firstWord(`${salt}:${i}:${n}`)) >= bits) {
        found.push(n);
        break;
      }
      if (n % 500 === 499) yield;
    }
  }
  return found;
}

/** Do the work beside the page where it lets a worker run, else in slices of 12 ms between which the page answers. */
export async function solve(work, signal) {
  if (!work) return undefined;
  return (await inWorker(work, signal)) ?? inSlices(work, signal);
}

async function inSlices(work, signal) {
  const searching = search(work);
  while (!signal?.aborted) {
    const until = performance.now() + 12;
    do {
      const { done, value } = searching.next();
      if (done) return value;
    } while (performance.now() < until);
    await new Promise((resume) => setTimeout(resume));
  }
}

/** A worker has to come from the page's own origin, so it is a piece of text that imports this file. */
function inWorker(work, signal) {
  return new Promise((resolve) => {
    let worker;
    const end = (value) => {
      worker?.terminate();
      resolve(value);
    };
    try {
      const text = `import(${JSON.stringify(import.meta.url)}).then(({ search }) => { onmessage = ({ data }) => {
        const searching = search(data); let step; do step = searching.next(); while (!step.done); postMessage(step.value);
      }; postMessage(null); }, () => postMessage(undefined));`;
      const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      worker = new Worker(address, { type: "module" });
      URL.revokeObjectURL(address);
      signal?.addEventListener("abort", () => end(undefined));
      worker.onerror = () => end(undefined);
      worker.onmessage = ({ data }) => (data === null ? worker.postMessage(work) : end(data));
    } catch {
      end(undefined);
    }
  });
}
