// The page: asks /explain of a text, or /ask of several files or the server's documents, and shows what
// it says. Offsets from the server count code points.
import { snippets } from "/static/snippets.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
let parts = []; // of the text, where it came from files: { start, name, text, places }
let shown = null; // the answer on the page: { points, found, asked, took, chosen }
let canRefuse = {}; // model → whether it was taught to say that there is no answer

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
  const question = $("question").value;
  const top_k = Number($("top-k").value) || 1;
  const longest = Number($("longest").value) || 15;
  const call = { question, top_k, max_answer_tokens: longest };
  const documents = parts.length > 1 && parts.map(({ name, text }) => ({ name, text }));
  const own = $("of-index").checked
    ? call
    : documents
      ? { ...call, documents }
      : {
          inputs: { question, context: $("context").value },
          parameters: { top_k, max_answer_len: longest, handle_impossible_answer: canRefuse[$("model").value] ?? true },
        };
  return $("model").selectedIndex > 0 ? { ...own, model: $("model").value } : own; // the first answers unasked
}

// What /ask says in the form of /explain: answers with their passages, and no tokens.
function cited(answers, headers) {
  const ms = (name) => Number(headers.get(`x-${name}-time`)) || 0;
  const milliseconds = { prepare: ms("prepare"), queue: ms("queue"), inference: ms("inference") };
  return { answers, null_score: null, tokens: [], milliseconds };
}

async function ask(event) {
  event.preventDefault();
  const call = asked();
  $("ask").disabled = true;
  say("Reading…");
  try {
    const began = performance.now();
    const path = call.inputs ? "/explain" : "/ask";
    const answer = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(call) });
    const body = await answer.json();
    const took = performance.now() - began;
    if (!answer.ok) throw new Error(body.error?.message ?? `the server said ${answer.status}`);
    const found = call.inputs ? body : cited(body, answer.headers);
    show({ points: Array.from(call.inputs?.context ?? ""), found, asked: call, took });
    const windows = call.inputs ? `, ${body.windows} ${body.windows === 1 ? "window" : "windows"}` : "";
    say(`Read in ${Math.round(took)} ms${windows}.`);
  } catch (error) {
    $("result").hidden = true;
    say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  } finally {
    $("ask").disabled = false;
  }
}

const percent = (p) => (p > 0 && p < 0.0005 ? "<0.1%" : `${(100 * p).toFixed(p > 0 && p < 0.1 ? 1 : 0)}%`);

function show(now) {
  shown = now;
  const [best] = now.found.answers;
  const sure = now.found.null_score; // null where the model cannot say it, or did not
  const none = !best || sure > best.score;
  shown.chosen = none ? -1 : 0; // what is no answer is not marked unless it is looked at
  const score = document.createElement("small");
  score.textContent = !none ? percent(best.score) : sure === null ? "" : percent(sure);
  const what = now.asked.inputs ? "text does" : "documents do";
  $("answer").replaceChildren(none ? `The ${what} not seem to say.` : best.answer, score);
  $("place").textContent = none ? "" : placed(best);
  $("no-answer").hidden = sure === null;
  $("null").value = sure ?? 0;
  $("null-value").textContent = percent(sure ?? 0);
  $("snippet").hidden = true;
  $("heat").hidden = !now.found.tokens.length;
  $("inside").hidden = !best;
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
        $("place").textContent = placed(answer);
        showText();
        showCandidates();
        $("candidates").querySelectorAll("button")[i].focus();
      });
      const item = document.createElement("li"), where = document.createElement("small");
      where.textContent = placed(answer);
      item.append(button, where);
      return item;
    }),
  );
}

// Pieces of the text: plain, inside the answer, or warm; a token is never cut by the answer's edge.
function showText() {
  const { found, chosen } = shown;
  const cited = found.answers[chosen];
  const at0 = cited?.passage_start ?? 0; // of what is shown: a passage, or the whole text
  const points = cited?.passage === undefined ? shown.points : Array.from(cited.passage);
  const answer = cited && { start: cited.start - at0, end: cited.end - at0 };
  const kind = found.tokens.length ? document.querySelector("[name=heat]:checked").value : "";
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
  for (let again = 5; ; again--) {
    const answer = await fetch(url, { method: "POST", headers: headers(type), body: file });
    const body = await answer.json();
    if (answer.ok) return { name: file.path || file.webkitRelativePath || file.name, ...body };
    // The server reads a few files at a time, of everybody.
    if (answer.status !== 429 || !again) throw new Error(body.error?.message ?? `the server said ${answer.status}`);
    await new Promise((wake) => setTimeout(wake, 1000 * (Number(answer.headers.get("retry-after")) || 1)));
  }
}

// What is asked is of the files that are being opened.
async function open(files) {
  $("ask").disabled = true;
  try {
    await take(files);
  } finally {
    $("ask").disabled = false;
  }
}

// Files one behind the other; one that cannot be read is named, and the others are taken.
async function take(files) {
  const found = [], missed = [];
  for (const [i, file] of files.entries()) {
    say(`Reading ${file.name}${files.length > 1 ? ` (${i + 1} of ${files.length})` : ""}…`);
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
    parts.push({ start: at, name: one.name, text: one.text, places: one.places });
    at += Array.from(one.text).length + 2;
  }
  const text = found.map((one) => one.text).join("\n\n");
  $("context").value = text;
  $("of-text").checked = true;
  changed();
  const pages = found.length === 1 && found[0].pages;
  const what = found.length === 1 ? found[0].name : `${found.length} files`;
  const counted = pages ? `${pages} ${pages === 1 ? "page" : "pages"}, ` : "";
  const but = missed.length ? ` Not read: ${missed.join("; ")}` : "";
  say(`${what}: ${counted}${text.length.toLocaleString("en")} characters.${but}`, missed.length > 0);
  $("question").focus();
}

// Where in which file an answer stands: "a.pdf, page 3, Fees".
function placed(answer) {
  const source = answer.source; // of /ask: the name of a document
  const part = source === undefined
    ? parts.findLast((one) => one.start <= answer.start)
    : shown.asked.documents && parts.find((one) => one.name === source);
  if (!part && source === undefined) return "";
  const at = answer.start - (source === undefined ? part.start : 0);
  const place = part ? part.places.findLast((one) => one.start <= at) ?? {} : answer;
  const named = ["page", "sheet", "row", "line"].filter((name) => place[name]).map((name) => `${name} ${place[name]}`);
  return [source ?? part.name, ...named, ...(place.heading ? [place.heading] : [])].join(", ");
}

// What was answered is not of what is asked now.
function changed() {
  $("result").hidden = true;
  $("of").classList.toggle("index", $("of-index").checked);
  for (const id of ["context", "drop"]) $(id).hidden = $("of-index").checked;
  $("context").required = !$("of-index").checked;
}

// The files of what was dropped, those in folders too.
async function dropped(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return Array.from(transfer.files);
  const files = [];
  const walk = async (entry) => {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) {
      const file = await new Promise((take, fail) => entry.file(take, fail));
      file.path = entry.fullPath.slice(1); // two folders may each have a file of one name
      return void files.push(file);
    }
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
    const info = await answer.json();
    const all = info.models;
    canRefuse = Object.fromEntries(Object.entries(all).map(([name, one]) => [name, one.manifest?.no_answer ?? false]));
    $("of").hidden = !info.passages;
    $("n-passages").textContent = info.passages.toLocaleString("en");
    const names = Object.keys(all).filter((name) => all[name].task === "question-answering");
    $("model").replaceChildren(...names.map((name) => new Option(name, name)));
    $("model").hidden = document.querySelector("label[for=model]").hidden = names.length < 2;
  } catch { /* the page works without; asking says what is wrong */ }
}

form.addEventListener("submit", ask);
$("copies").addEventListener("click", copy);
document.querySelectorAll("[name=heat]").forEach((radio) => radio.addEventListener("change", showText));
for (const id of ["file", "folder"])
  $(id).addEventListener("change", (event) => {
    const kept = (file) => !file.webkitRelativePath.split("/").some((name) => name.startsWith("."));
    open(Array.from(event.target.files).filter(kept));
    event.target.value = ""; // the same file again is a change, too
  });
$("context").addEventListener("input", () => { parts = []; changed(); });
for (const id of ["model", "of-text", "of-index"]) $(id).addEventListener("change", changed);
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
