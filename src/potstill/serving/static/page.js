// The page: asks /explain and shows what it says. Offsets from the server count code points.
import { snippets } from "/static/snippets.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
let parts = []; // of the text, where it came from files: { start, name, places }
let shown = null; // the answer on the page: { points, found, asked, chosen }

function headers(type = "application/json") {
  const token = $("token").value.trim();
  const auth = token ? { authorization: `Bearer ${token}` } : {};
  return { "content-type": type, ...auth };
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

function asked() {
  const call = {
    inputs: { question: $("question").value, context: $("context").value },
    parameters: {
      top_k: Number($("top-k").value) || 1,
      max_answer_len: Number($("longest").value) || 15,
      handle_impossible_answer: true,
    },
  };
  if ($("model").selectedIndex > 0) call.model = $("model").value; // the first answers unasked
  return call;
}

async function ask(event) {
  event.preventDefault();
  const call = asked();
  $("ask").disabled = true;
  say("Reading…");
  try {
    const began = performance.now();
    const answer = await fetch("/explain", { method: "POST", headers: headers(), body: JSON.stringify(call) });
    const body = await answer.json();
    const took = performance.now() - began;
    if (!answer.ok) throw new Error(body.error?.message ?? `the server said ${answer.status}`);
    show({ points: Array.from(call.inputs.context), found: body, asked: call, took, chosen: 0 });
    say(`Read in ${Math.round(took)} ms, ${body.windows} ${body.windows === 1 ? "window" : "windows"}.`);
  } catch (error) {
    $("result").hidden = true;
    say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  } finally {
    $("ask").disabled = false;
  }
}

const percent = (p) => `${(100 * p).toFixed(p > 0 && p < 0.1 ? 1 : 0)}%`;

function show(now) {
  shown = now;
  const [best] = now.found.answers;
  const none = now.found.null_score > (best?.score ?? 0);
  const score = document.createElement("small");
  score.textContent = percent(none ? now.found.null_score : best.score);
  $("answer").replaceChildren(none ? "The text does not seem to say." : best.answer, score);
  $("place").textContent = none ? "" : placed(best.start);
  $("null").value = now.found.null_score;
  $("null-value").textContent = percent(now.found.null_score);
  $("snippet").hidden = true;
  $("result").hidden = false; // before the text, which can only be scrolled to its mark when it is there
  showText();
  showCandidates();
  showTimes();
}

function showCandidates() {
  $("candidates").replaceChildren(
    ...shown.found.answers.map((answer, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${answer.answer} (${percent(answer.score)})`;
      button.setAttribute("aria-pressed", String(i === shown.chosen));
      button.addEventListener("click", () => {
        shown.chosen = i;
        $("place").textContent = placed(answer.start);
        showText();
        showCandidates();
        $("candidates").querySelectorAll("button")[i].focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

// Pieces of the text: plain, inside the answer, or warm; a token is never cut by the answer's edge.
function showText() {
  const { points, found, chosen } = shown;
  const answer = found.answers[chosen];
  const kind = document.querySelector("[name=heat]:checked").value;
  const piece = (a, b) => points.slice(a, b).join("");
  const nodes = [];
  let at = 0;
  const wrap = (start, end, tag, p) => {
    if (start < at) return;
    nodes.push(piece(at, start));
    const element = document.createElement(tag);
    element.textContent = piece(start, end);
    if (tag === "span") {
      element.className = "hot";
      element.style.setProperty("--p", Math.min(1, Math.sqrt(p)).toFixed(3));
      element.title = percent(p);
    }
    nodes.push(element);
    at = end;
  };
  if (kind) for (const t of found.tokens) { if (t[kind] > 0.001) wrap(t.start, t.end, "span", t[kind]); }
  else if (answer) wrap(answer.start, answer.end, "mark");
  nodes.push(piece(at, points.length));
  $("text").replaceChildren(...nodes);
  const first = $("text").querySelector("mark, .hot");
  if (first) $("text").scrollTop = first.offsetTop - $("text").offsetTop - 60;
}

function showTimes() {
  const { prepare, queue, inference } = shown.found.milliseconds;
  const network = Math.max(0, shown.took - prepare - queue - inference);
  const parts = { prepare, queue, inference, network };
  const names = { prepare: "Tokenizing", queue: "Waiting", inference: "Model", network: "The way there and back" };
  const bars = [], terms = [];
  for (const [name, ms] of Object.entries(parts)) {
    const bar = document.createElement("span");
    bar.className = name;
    bar.style.setProperty("flex", `${ms} 0 0`);
    bars.push(bar);
    const row = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.className = name;
    dt.textContent = names[name];
    dd.textContent = `${ms.toFixed(1)} ms`;
    row.append(dt, dd);
    terms.push(row);
  }
  $("bar").replaceChildren(...bars);
  $("times").replaceChildren(...terms);
}

async function copy(event) {
  const kind = event.target.dataset.copy;
  if (!kind) return;
  const text = snippets[kind](location.origin, shown.asked, Boolean($("token").value.trim()));
  $("snippet").textContent = text;
  $("snippet").hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren($("snippet"));
    say("Marked below: copy it from there.");
  }
}

// The server reads every file: it knows formats, encodings, pages and headings.
async function read(file) {
  const pdf = file.type === "application/pdf" || /\.pdf$/i.test(file.name);
  const type = pdf ? "application/pdf" : "application/octet-stream";
  const url = `/text?name=${encodeURIComponent(file.name)}`;
  const answer = await fetch(url, { method: "POST", headers: headers(type), body: file });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `the server said ${answer.status}`);
  return { name: file.name, ...body };
}

// Files one behind the other; one that cannot be read is named, and the others are taken.
async function open(files) {
  const found = [], missed = [];
  for (const file of files) {
    say(`Reading ${file.name}…`);
    try {
      found.push(await read(file));
    } catch (error) {
      if (error instanceof TypeError) return say("The server cannot be reached.", true);
      missed.push(`${file.name}: ${error.message}`);
    }
  }
  if (!found.length) return missed.length ? say(missed.join("; "), true) : undefined;
  parts = [];
  let at = 0;
  for (const one of found) {
    parts.push({ start: at, name: one.name, places: one.places });
    at += Array.from(one.text).length + 2;
  }
  const text = found.map((one) => one.text).join("\n\n");
  $("context").value = text;
  $("result").hidden = true;
  const pages = found.length === 1 && found[0].pages;
  const what = found.length === 1 ? found[0].name : `${found.length} files`;
  const counted = pages ? `${pages} ${pages === 1 ? "page" : "pages"}, ` : "";
  const but = missed.length ? ` Not read: ${missed.join("; ")}` : "";
  say(`${what}: ${counted}${text.length.toLocaleString("en")} characters.${but}`, missed.length > 0);
  $("question").focus();
}

// Where in which file an offset stands: "a.pdf, page 3, Fees".
function placed(at) {
  const part = parts.findLast((one) => one.start <= at);
  if (!part) return "";
  const place = part.places.findLast((one) => part.start + one.start <= at) ?? {};
  const numbered = ["page", "sheet", "row"].filter((name) => place[name]).map((name) => `${name} ${place[name]}`);
  return [part.name, ...numbered, ...(place.heading ? [place.heading] : [])].join(", ");
}

// The files of what was dropped, those in folders too.
async function dropped(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return Array.from(transfer.files);
  const files = [];
  const walk = async (entry) => {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) return void files.push(await new Promise((take, fail) => entry.file(take, fail)));
    const reader = entry.createReader();
    for (;;) { // a reader gives some at a time
      const some = await new Promise((take, fail) => reader.readEntries(take, fail));
      if (!some.length) return;
      for (const inner of some) await walk(inner);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

async function models() {
  try {
    const answer = await fetch("/info", { headers: headers() });
    if (!answer.ok) return;
    const all = (await answer.json()).models;
    const names = Object.keys(all).filter((name) => all[name].task === "question-answering");
    $("model").replaceChildren(...names.map((name) => new Option(name, name)));
    $("model").hidden = document.querySelector("label[for=model]").hidden = names.length < 2;
  } catch { /* the page works without; asking says what is wrong */ }
}

form.addEventListener("submit", ask);
$("copies").addEventListener("click", copy);
document.querySelectorAll("[name=heat]").forEach((radio) => radio.addEventListener("change", showText));
$("file").addEventListener("change", (event) => open(Array.from(event.target.files)));
$("context").addEventListener("input", () => { parts = []; $("result").hidden = true; });
$("token").addEventListener("change", models);
for (const kind of ["dragenter", "dragover"])
  form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("dropping"); });
form.addEventListener("dragleave", () => form.classList.remove("dropping"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("dropping");
  dropped(event.dataTransfer).then(open);
});
models();
