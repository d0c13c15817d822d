// The page: what is set, what the kernels make of it, and what is shown of that.

const MOST_ENTRIES = 100_000;
const MOST_DRAWS = 10_000;
const SHOWN_AT_FIRST = 40;

/** What fs_status means for a row, in the words of a reader of the page. */
const STATUS = {
  1: "The row holds NaN. softmax makes a row of NaN of it, and nothing can be drawn from it (sample raises ValueError).",
  2: "Every entry is −inf. Nothing is left to draw from: softmax makes a row of NaN of it, and sample raises ValueError.",
  3: "There is not enough memory for a row of this length.",
};

const element = (id) => document.getElementById(id);

/** What the reader has to change, and where. */
class Unusable extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

// ---------------------------------------------------------------------------------------------- What is set

// The places of the temperature slider: 0, two digits of every power of ten from 0.01 to 99, 100, infinity.
const TEMPERATURES = ["0"];
for (const power of [-3, -2, -1, 0])
  for (let digits = 10; digits < 100; digits++) TEMPERATURES.push(String(Number(`${digits}e${power}`)));
TEMPERATURES.push("100", "inf");

/** The number that a word stands for, as Python reads it; undefined for a word that is none. */
function numberOf(word) {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return Number(word);
  const special = /^([+-]?)(inf|infinity|nan|∞)$/i.exec(word.replace("−", "-"));
  if (!special) return undefined;
  if (special[2].toLowerCase() === "nan") return NaN;
  return special[1] === "-" ? -Infinity : Infinity;
}

/** How Python writes it. */
function inPython(x) {
  if (Number.isNaN(x)) return "np.nan";
  if (!Number.isFinite(x)) return x < 0 ? "-np.inf" : "np.inf";
  return Object.is(x, -0) ? "-0.0" : String(x);
}

const shortened = (word) => (word.length > 30 ? `${word.slice(0, 30)}…` : word);

/** A row of words: its labels, its logits as float32, and as a list in Python. */
function rowOf({ labels, texts }) {
  const numbers = texts.map((word, i) => {
    const x = numberOf(word);
    if (x === undefined) throw new Unusable(`Entry ${i} is not a number: “${shortened(word)}”.`, "logits");
    if (!Number.isFinite(Math.fround(x)) && /\d/.test(word))
      throw new Unusable(
        `Entry ${i} is more than float32 can hold: “${shortened(word)}”. Write inf for infinity.`,
        "logits",
      );
    return x;
  });
  return { labels, logits: Float32Array.from(numbers), python: `[${numbers.map(inPython).join(", ")}]` };
}

/** The row in the text field.  Brackets around it, as of a list, are left out. */
function ownRow(text) {
  const texts = text
    .replace(/[[\]()]/g, " ")
    .split(/[\s,;]+/)
    .filter(Boolean);
  if (!texts.length) throw new Unusable("There is no number in the field. Write at least one.", "logits");
  if (texts.length > MOST_ENTRIES)
    throw new Unusable(
      `The field has ${texts.length.toLocaleString("en")} numbers. This page takes up to ${MOST_ENTRIES.toLocaleString("en")}.`,
      "logits",
    );
  return rowOf({ labels: texts.map((_, i) => `entry ${i}`), texts });
}

/** The whole number in a field, between two others. */
function wholeNumber(id, least, most) {
  const text = element(id).value.trim();
  if (!/^\d{1,20}$/.test(text) || BigInt(text) < least || BigInt(text) > most) {
    const name = element(id).labels[0].textContent;
    throw new Unusable(`${name}: a whole number from ${least} to ${most}, not “${shortened(text)}”.`, id);
  }
  return BigInt(text);
}

/** Temperature, filters and draws as the fields have them. */
function readSettings() {
  const temperature = TEMPERATURES[element("temperature").valueAsNumber];
  return {
    temperature: numberOf(temperature),
    top_k: element("top_k").valueAsNumber,
    top_p: element("top_p").valueAsNumber / 100,
    min_p: element("min_p").valueAsNumber / 100,
    seed: wholeNumber("seed", 0n, 2n ** 64n - 1n),
    size: Number(wholeNumber("size", 1n, BigInt(MOST_DRAWS))),
  };
}

// ---------------------------------------------------------------------------------------------- What is shown

/** A probability in per cent. */
function percent(p) {
  if (p === 0) return "0";
  const x = 100 * p;
  return `${x >= 0.1 ? x.toFixed(x < 10 ? 2 : 1) : x.toPrecision(2)} %`;
}

/** The Python lines: the row, and what gives the digest. */
function pythonLines(row, { temperature, top_k, top_p, min_p, seed, size }) {
  const filters = [
    [top_k > 0, `, top_k=${top_k}`],
    [top_p < 1, `, top_p=${top_p}`],
    [min_p > 0, `, min_p=${min_p}`],
  ];
  const given = filters.map(([on, text]) => (on ? text : "")).join("");
  const T = inPython(temperature);
  return {
    row: `import hashlib\nimport numpy as np\nimport fastsoftmax as fs\nx = np.array(${row.python}, np.float32)\n`,
    calls: [
      given ? `p = fs.softmax(fs.truncate(x, ${T}${given}))` : `p = fs.softmax(x, ${T})`,
      `u = fs.keyed_uniforms(${seed}, 0, range(${size}))`,
      `draws = fs.sample(x, ${T}${given}, size=${size}, u=u)`,
      "print(hashlib.sha256(p.tobytes() + draws.tobytes()).hexdigest())\n",
    ].join("\n"),
  };
}

/** SHA-256 of the bytes of some arrays, one after another. */
async function digestOf(...arrays) {
  if (!globalThis.crypto?.subtle) return "(this browser makes digests only in pages opened by https or from a file)";
  const bytes = await new Blob(arrays).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The row of the table for one entry; its cells are filled by `fillEntry`. */
function newEntry() {
  const tr = document.createElement("tr");
  tr.innerHTML =
    '<th scope="row"></th><td class="number logit"></td>' +
    '<td class="bars" aria-hidden="true"><span class="bar before"></span><span class="bar"></span></td>' +
    '<td class="number"></td><td class="number yours"></td><td class="number"></td>';
  return tr;
}

function fillEntry(tr, { label, logit, before, after, isCut, count }, largest) {
  const [name, logitCell, bars, beforeCell, afterCell, drawnCell] = tr.children;
  name.textContent = label;
  logitCell.textContent = Number(logit.toPrecision(6));
  beforeCell.textContent = percent(before);
  afterCell.textContent = isCut ? "cut" : percent(after);
  drawnCell.textContent = count || "";
  tr.className = isCut ? "is-cut" : "";
  bars.children[0].style.width = `${(100 * before) / largest}%`;
  bars.children[1].style.width = `${(100 * (isCut ? before : after)) / largest}%`;
  bars.children[1].className = isCut ? "bar cut" : "bar after";
}

/** What is shown is not yet what is set. */
const setBusy = (busy) => element("result").setAttribute("aria-busy", busy);

/** A sentence for screen readers, said when the settings have not changed for a moment. */
const say = (() => {
  let timer;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => (element("summary").textContent = text), 700);
  };
})();

// ---------------------------------------------------------------------------------------------- The two together

const module = await new Response(
  new Blob([Uint8Array.from(atob(element("module").textContent), (c) => c.charCodeAt(0))])
    .stream()
    .pipeThrough(new DecompressionStream("gzip")),
).arrayBuffer();
const kernels = await startKernels(module);

let row; // as rowOf makes it
let order = []; // the indices of the entries as they are shown
let shown = SHOWN_AT_FIRST;
let turn = 0; // counts the evaluations: a digest that comes late is not shown
let due = 0; // the animation frame in which the next one happens
let rowIsNew = true; // until it has been evaluated
let python; // the lines shown

function readRow() {
  const chosen = element("row").value;
  element("own").hidden = chosen !== "own";
  element("about").textContent = ROWS[chosen]?.about ?? "";
  row = chosen === "own" ? ownRow(element("logits").value) : rowOf(ROWS[chosen]);
  const top_k = element("top_k"); // the browser cuts a value above max
  if (Number(top_k.max) !== row.logits.length) top_k.max = row.logits.length;
}

function sortEntries() {
  order = [...row.logits.keys()];
  if (element("order").value === "value") order.sort((a, b) => row.logits[b] - row.logits[a] || a - b);
}

function showSliders() {
  const texts = {
    temperature: TEMPERATURES[element("temperature").valueAsNumber].replace("inf", "∞"),
    top_k: element("top_k").value === "0" ? "off" : element("top_k").value,
    top_p: element("top_p").value === "100" ? "off" : String(element("top_p").value / 100),
    min_p: element("min_p").value === "0" ? "off" : String(element("min_p").value / 100),
  };
  for (const [id, text] of Object.entries(texts)) {
    element(`${id}-value`).textContent = text;
    element(id).setAttribute("aria-valuetext", text === "∞" ? "infinite" : text);
  }
}

function showMessage(error) {
  const text = error?.message ?? "";
  for (const id of ["logits", "seed", "size"]) element(id).removeAttribute("aria-invalid");
  element("message").hidden = !error;
  element("result").classList.toggle("stale", Boolean(error));
  element("result").inert = Boolean(error);
  if (element("message").textContent !== text) element("message").textContent = text; // or it would be said again
  if (!error) return;
  const field = element(error.field);
  field.setAttribute("aria-invalid", "true");
  const section = field.closest("section"); // the message is where the mistake is
  if (element("message").parentElement !== section) section.append(element("message"));
}

function showEntries({ before, kept, after, draws }) {
  const counts = new Map();
  for (const index of draws) counts.set(Number(index), (counts.get(Number(index)) ?? 0) + 1);
  const body = element("entries");
  const visible = order.slice(0, shown);
  while (body.children.length > visible.length) body.lastChild.remove();
  while (body.children.length < visible.length) body.append(newEntry());
  const largest = Math.max(...visible.map((i) => Math.max(before[i], after[i]))) || 1;
  visible.forEach((i, place) => {
    const isCut = kept[i] === -Infinity && row.logits[i] !== -Infinity;
    const entry = { label: row.labels[i], logit: row.logits[i], before: before[i], after: after[i], isCut };
    fillEntry(body.children[place], { ...entry, count: counts.get(i) }, largest);
  });
  const hidden = order.length - visible.length;
  element("more-line").hidden = !hidden;
  element("more-text").textContent = `${hidden.toLocaleString("en")} more ${hidden === 1 ? "entry" : "entries"}.`;
}

function showDraws({ draws }) {
  element("drawn").replaceChildren(
    ...Array.from(draws).flatMap((index) => {
      const span = document.createElement("span");
      span.textContent = row.labels[Number(index)];
      return [span, " "];
    }),
  );
}

function showNumbers({ kept, after, entropies }) {
  const allowed = row.logits.reduce((count, x) => count + (x > -Infinity), 0);
  const left = kept.reduce((count, x) => count + (x > -Infinity), 0);
  const best = after.reduce((best, p, i) => (p > after[best] ? i : best), 0);
  element("entropy-before").textContent = `${entropies[0].toFixed(4)} nats`;
  element("entropy-after").textContent = `${entropies[1].toFixed(4)} nats`;
  element("kept").textContent = `${left.toLocaleString("en")} of ${allowed.toLocaleString("en")}`;
  say(
    `${left} of ${allowed} entries kept. Most likely: ${row.labels[best]}, ${percent(after[best])}. ` +
      `Entropy ${entropies[1].toFixed(2)} nats.`,
  );
}

async function showDigest(settings, { after, draws }) {
  const mine = turn;
  const lines = pythonLines(row, settings);
  if (rowIsNew) element("python-row").textContent = lines.row;
  rowIsNew = false;
  element("python-calls").textContent = lines.calls;
  python = lines.row + lines.calls;
  const digest = await digestOf(after, draws);
  if (mine !== turn) return;
  element("digest").textContent = digest;
  setBusy(false);
}

/** Evaluates the row with the settings and shows what comes of it. */
function update() {
  turn++;
  due = 0;
  try {
    if (rowIsNew) {
      readRow();
      sortEntries();
    }
    const settings = readSettings();
    const result = kernels.evaluate(row.logits, settings);
    if (result.status) throw new Unusable(STATUS[result.status] ?? `fs_status ${result.status}`, "logits");
    showMessage(null);
    showNumbers(result);
    showEntries(result);
    showDraws(result);
    showDigest(settings, result);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    showMessage(error);
    setBusy(false);
  } finally {
    showSliders();
  }
}

/** At most one evaluation for each picture of the screen, however fast a slider moves. */
function updateSoon() {
  setBusy(true);
  due ||= requestAnimationFrame(update);
}

function newRow() {
  rowIsNew = true;
  shown = SHOWN_AT_FIRST;
  updateSoon();
}

for (const [value, { name }] of Object.entries(ROWS)) element("row").append(new Option(name, value));
element("row").append(new Option("Your own numbers", "own"));
element("temperature").max = TEMPERATURES.length - 1;
element("temperature").defaultValue = TEMPERATURES.indexOf("1");

element("settings").addEventListener("submit", (event) => event.preventDefault());
let typing; // a timer: half of a word is no mistake yet
element("settings").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  if (target.id === "logits") {
    setBusy(true);
    typing = setTimeout(newRow, 250);
  } else if (target.id === "row") newRow();
  else updateSoon();
});
element("settings").addEventListener("reset", () => {
  setBusy(true);
  setTimeout(newRow); // once the fields are reset
});
element("order").addEventListener("change", () => {
  sortEntries();
  updateSoon();
});
element("more").addEventListener("click", () => {
  const first = shown;
  shown += 100;
  update();
  const next = element("entries").children[first];
  if (element("more-line").hidden && next) {
    next.tabIndex = -1; // the button is gone: the focus goes to what it has shown
    next.focus();
  }
});
element("next-seed").addEventListener("click", () => {
  const seed = element("seed").value.trim();
  element("seed").value = /^\d{1,19}$/.test(seed) ? String(BigInt(seed) + 1n) : "0";
  updateSoon();
});
for (const choice of document.getElementsByName("theme"))
  choice.addEventListener("change", () => (document.documentElement.style.colorScheme = choice.value));

element("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(python);
    element("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(document.querySelector("pre code"));
    element("copied").textContent = "This browser does not let the page copy. The lines are selected.";
  }
  setTimeout(() => (element("copied").textContent = ""), 4000);
});

// ---------------------------------------------------------------------------------------------- The check of the kernels

/** The same module in a worker, so that the page does not stand still meanwhile. */
function checkInWorker(every, seed) {
  const text = `${startKernels}
    onmessage = async ({ data }) => {
      try {
        const kernels = await startKernels(data.module);
        postMessage(kernels.check(data.every, data.seed));
      } catch (error) {
        postMessage({ passed: false, printed: String(error) });
      }
    };`;
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  return new Promise((resolve, reject) => {
    const worker = new Worker(url);
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => reject(new Error("This browser starts no worker in this page."));
    worker.postMessage({ module, every, seed });
  }).finally(() => URL.revokeObjectURL(url));
}

element("check").addEventListener("click", async () => {
  const native = JSON.parse(element("native").textContent);
  element("check").disabled = true;
  element("checked").textContent = "Checking …";
  try {
    const began = performance.now();
    const { passed, printed } = await checkInWorker(native.every, native.seed);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const here = /^digest \w+ (\w+)$/m.exec(printed)?.[1] ?? "none";
    const count = /(\d+) checks/.exec(printed)?.[1] ?? "0";
    element("check-here").textContent = here;
    element("check-native").textContent = native.digest;
    element("check-native-sets").textContent = `native: ${native.sets.join(", ")}`;
    element("digests").hidden = false;
    element("checked").textContent =
      passed && here === native.digest
        ? `The digests are equal: the same bits. ${Number(count).toLocaleString("en")} checks in ${seconds} s.`
        : `The digests differ, or the test found a fault: ${printed}`;
  } catch (error) {
    element("checked").textContent = error.message;
  }
  element("check").disabled = false;
});

update();
document.documentElement.dataset.ready = "true";
