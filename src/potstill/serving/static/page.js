// The page: asks /explain and shows what it says. Offsets from the server count code points.
import { snippets } from "/static/snippets.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
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

// The one kind of file that the page cannot read by itself: the server does.
async function openPdf(file) {
  say(`Reading ${file.name}…`);
  try {
    const answer = await fetch("/text", { method: "POST", headers: headers("application/pdf"), body: file });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error?.message ?? `the server said ${answer.status}`);
    take(body.text, `${file.name}: ${body.pages} ${body.pages === 1 ? "page" : "pages"}, `);
  } catch (error) {
    say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  }
}

function take(text, about) {
  $("context").value = text;
  say(`${about}${text.length.toLocaleString("en")} characters.`);
  $("question").focus();
}

async function open(file) {
  if (!file) return;
  if (file.type === "application/pdf" || /\.pdf$/i.test(file.name)) return openPdf(file);
  if (file.size > 5e6) return say(`${file.name} is larger than 5 MB.`, true);
  const bytes = await file.arrayBuffer();
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return say(`${file.name} is no UTF-8 text.`, true);
  }
  if (/\.html?$/i.test(file.name)) {
    const page = new DOMParser().parseFromString(text, "text/html");
    page.querySelectorAll("script, style, nav, template, noscript").forEach((e) => e.remove());
    page.querySelectorAll("p, div, li, h1, h2, h3, h4, h5, h6, tr, br, section").forEach((e) => e.append("\n"));
    text = page.body.textContent.replace(/[ \t]+/g, " ").replace(/\s*\n\s*/g, "\n").trim();
  }
  take(text, `${file.name}: `);
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
$("file").addEventListener("change", (event) => open(event.target.files[0]));
$("token").addEventListener("change", models);
for (const kind of ["dragenter", "dragover"])
  form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("dropping"); });
form.addEventListener("dragleave", () => form.classList.remove("dropping"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("dropping");
  open(event.dataTransfer.files[0]);
});
models();
