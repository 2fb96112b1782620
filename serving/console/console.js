// The console: asks over /ask/stream and shows the hops as they happen, or finds passages over /search and shows their
// paths; a citation opens its passage over /passages. It is an ordinary client of the public API. Text from documents and models reaches the page only by textContent.

import { answerText, citationItem, formOf, remarks } from "/console/answer.js";
import { Conversation } from "/console/conversation.js";
import { passageItem } from "/console/passages.js";
import { sourceDialog } from "/console/source.js";
import { taskTree } from "/console/tree.js";

const $ = (id) => document.getElementById(id);
const KEY = "lakehop-key"; // sessionStorage: gone with the tab
const PASSAGES = 8;
const CONVERSING = "multihop"; // the program that reads the turns before a question
const conversation = new Conversation();
let running = null;
let asked = {}; // the body of the question whose answer is shown

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) {
    node.textContent = text;
    node.dir = "auto"; // each text by its own script
  }
  if (className) node.className = className;
  return node;
}

const dollars = (usd) => (Number(usd) === 0 ? "$0" : `$${String(usd).replace(/(\.\d{4}\d*?)0+$/, "$1")}`);
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const bearer = () => ({ Authorization: `Bearer ${$("key").value.trim()}` });

function showProblem(problem) {
  $("problem-title").textContent = problem.title;
  $("problem-detail").textContent = problem.detail;
  $("problem").hidden = false;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { title: `HTTP ${response.status}`, detail: "The gateway gave no reason." };
  }
}

function stepItem({ kind, agent, hop, attempt }, cost, into = $("steps")) {
  const item = element("li", null, "step");
  item.dataset.kind = kind;
  const head = element("div", null, "step-head");
  const again = attempt > 1 ? `, attempt ${attempt}` : "";
  head.append(element("b", (hop ? `Hop ${hop}: ${agent}` : agent) + again), element("span", cost, "cost"));
  item.append(head);
  into.append(item);
  $("trace").hidden = false;
  return item;
}

const spent = (usd, ms) => (Number(usd) === 0 ? "" : `${dollars(usd)} · `) + duration(ms);

// A text beside the color, for people who do not see the color.
function markCritical(item) {
  item.dataset.critical = "";
  item.querySelector(".cost").prepend(element("span", "critical path", "tag"), " ");
}

function showTree(nodes, into) {
  for (const { step, critical, subTask, usd, ms, nodes: inside } of nodes) {
    const branch = { kind: "sub-task", agent: `Sub-task ${subTask}` };
    const item = step ? showStep(step, into) : stepItem(branch, spent(usd, ms), into);
    if (critical && step) markCritical(item);
    if (inside) showTree(inside, item.appendChild(element("ol", null, "steps")));
  }
}

function showStep(step, into) {
  const item = stepItem(step, spent(step.usd, step.latency_ms), into);
  if (step.query) item.append(element("p", step.query));
  if (step.error) item.append(element("p", step.error, "failure"));
  const contradicts = step.kind === "note" && /^(disagreement|debate) /.test(step.query ?? "");
  if (step.output) item.append(element("p", `→ ${step.output}`, contradicts ? "failure" : ""));
  if (step.passages?.length) {
    const list = element("ul");
    for (const passage of step.passages) {
      const line = element("li", passage.title);
      line.append(element("span", passage.doc_id, "id"));
      list.append(line);
    }
    item.append(list);
  }
  return item;
}

// The text that the model is writing now; the finished step replaces it.
const writing = {
  line: null,
  add({ agent, hop, text }) {
    this.line ??= stepItem({ kind: "chat", agent, hop }, "writing").appendChild(element("p", "→ "));
    this.line.append(text);
  },
  clear() {
    this.line?.parentElement.remove();
    this.line = null;
  },
};

async function loadPassage(path) {
  const response = await fetch(path, { headers: bearer() });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

const openSource = sourceDialog($, element, loadPassage);
const openCitation = (citation) => openSource(citation, asked);
const citationItems = (citations) => citations.map((citation) => citationItem(citation, element, openCitation));

function showAnswer(answer) {
  writing.clear();
  $("answer").replaceChildren(...answerText(answer, element, openCitation));
  $("remarks").replaceChildren(...remarks(answer, element));
  $("status").textContent = $("status").dataset.status = answer.status;
  $("form").textContent = formOf(answer);
  $("form").hidden = !formOf(answer);
  $("citations").replaceChildren(...citationItems(answer.citations));
  for (const claim of answer.uncited ?? []) {
    $("citations").append(element("li", `No citation supports: ${claim}`, "failure"));
  }
  $("citations-title").hidden = !$("citations").children.length;
  $("nearest").replaceChildren(...citationItems(answer.nearest ?? []));
  $("nearest-title").hidden = !answer.nearest?.length;
  $("steps").replaceChildren();
  showTree(taskTree(answer.steps), $("steps"));
  const { usage } = answer;
  const facts = {
    Cost: dollars(usage.usd),
    Time: `${Number(answer.latency_s).toFixed(1)} s`,
    "Model calls": usage.calls,
    Tokens: `${usage.input_tokens} in (${usage.cached_tokens} cached), ${usage.output_tokens} out`,
    Task: answer.task_id,
  };
  $("facts").replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    $("facts").append(pair);
  }
  $("result").hidden = false;
  if (answer.status !== "failed") conversation.add(answer.question ?? asked.question, answer.answer);
  showConversation();
}

// The turns before the answer that is shown.
function showConversation() {
  const turns = $("result").hidden ? conversation.turns : conversation.turns.slice(0, -1);
  const items = turns.map(({ question, answer }) => {
    const item = element("li");
    item.append(element("b", question), element("p", answer));
    return item;
  });
  $("turns").replaceChildren(...items);
  $("earlier").hidden = items.length === 0;
  $("earlier-count").textContent = items.length === 1 ? "1 earlier question" : `${items.length} earlier questions`;
  const reads = $("program").value === CONVERSING;
  $("conversation-note").textContent = reads
    ? "The next question may refer to it."
    : `${$("program").value} answers each question by itself; only ${CONVERSING} reads the conversation.`;
  $("conversation").hidden = conversation.turns.length === 0;
}

function newConversation() {
  conversation.clear();
  reset();
  showConversation();
  $("question").value = "";
  $("question").focus();
}

const on = {
  step: (step) => {
    writing.clear();
    showStep(step, $("steps")); // a flat list while the task runs; the tree is drawn at the end
    $("progress").textContent = step.kind === "search" ? "reading passages" : "choosing the next step";
  },
  token: (token) => writing.add(token),
  done: showAnswer, // also holds every citation and the usage
  error: showProblem,
};

// Parsed here, because the browser's EventSource can neither POST nor send a key.
async function readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let ended = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    buffer += value;
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      const of = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const event = of("event");
      if (!event) continue; // a keep-alive comment
      on[event]?.(JSON.parse(of("data")));
      ended ||= event === "done" || event === "error";
    }
  }
  if (!ended) showProblem({ title: "The connection broke", detail: "It ended before the answer. Ask again." });
}

function searchBody() {
  const body = { question: $("question").value };
  if ($("tenant").value.trim()) body.tenant = $("tenant").value.trim();
  const groups = $("groups").value.split(",").map((group) => group.trim()).filter(Boolean);
  if (groups.length) body.groups = groups;
  return body;
}

function questionBody() {
  const body = { ...searchBody(), program: $("program").value };
  if ($("max_usd").value) body.max_usd = $("max_usd").value;
  if ($("quorum").value) body.quorum = Number($("quorum").value);
  if ($("style").value) body.style = $("style").value;
  const history = body.program === CONVERSING ? conversation.history() : [];
  if (history.length) body.history = history;
  return body;
}

function reset() {
  for (const id of ["problem", "result", "trace", "found"]) $(id).hidden = true;
  for (const id of ["answer", "remarks", "citations", "nearest", "steps", "facts", "status", "passages"]) {
    $(id).replaceChildren();
  }
  $("citations-title").hidden = $("nearest-title").hidden = true;
  showConversation();
}

function busy(is) {
  $("submit").disabled = $("find").disabled = is;
  $("stop").hidden = !is;
  $("progress").textContent = is ? "searching" : "";
}

function post(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { ...bearer(), "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: running.signal,
  });
}

// Asking and finding share this: one at a time, the same stop button, the same place for problems.
async function run(work, whenStopped) {
  sessionStorage.setItem(KEY, $("key").value.trim());
  reset();
  busy(true);
  running = new AbortController();
  try {
    await work();
  } catch (error) {
    const stopped = error.name === "AbortError";
    showProblem({
      title: stopped ? "Stopped" : "The gateway does not answer",
      detail: stopped ? whenStopped : "`lakehop status` shows all parts.",
    });
  } finally {
    writing.clear();
    busy(false);
    await showUsage();
  }
}

async function ask() {
  asked = questionBody();
  const response = await post("/ask/stream", asked);
  if (response.ok) await readEvents(response);
  else showProblem(await problemOf(response));
}

async function find() {
  const response = await post("/search", { ...searchBody(), k: PASSAGES, mode: "multihop" });
  if (!response.ok) {
    showProblem(await problemOf(response));
    return;
  }
  const { results, took_ms, usage } = await response.json();
  const cost = usage.calls ? ` · reranked by a model for ${dollars(usage.usd)}` : "";
  $("found-took").textContent = duration(took_ms) + cost;
  $("found-none").hidden = results.length > 0;
  $("passages").replaceChildren(...results.map((passage) => passageItem(passage, element)));
  $("found").hidden = false;
}

async function showUsage() {
  if (!$("key").value.trim()) return;
  const response = await fetch("/usage", { headers: bearer() }).catch(() => null);
  $("usage").hidden = !response?.ok;
  if (!response?.ok) return;
  const usage = await response.json();
  const cap = usage.daily_usd;
  $("usage-key").textContent = `${usage.app} · ${usage.tenant}`;
  $("usage-text").textContent = cap
    ? `${dollars(usage.spent_usd)} of ${dollars(cap)} spent, ${dollars(usage.reserved_usd)} reserved for running tasks`
    : `${dollars(usage.spent_usd)} spent, no daily cap`;
  $("usage-meter").hidden = !cap;
  if (cap) $("usage-meter").value = Number(usage.spent_usd) / Number(cap);
  $("usage-note").textContent = `${usage.day} (UTC)${cap ? "; the cap starts again at 00:00 UTC" : ""}`;
}

async function showReady() {
  const response = await fetch("/readyz").catch(() => null);
  $("ready").dataset.state = response?.ok ? "up" : "down";
  const problem = response && !response.ok ? await problemOf(response) : null;
  $("ready-text").textContent = response?.ok ? "ready" : problem?.part ? `${problem.part} down` : "no gateway";
  $("ready").title = problem?.detail ?? "";
}

$("key").value = sessionStorage.getItem(KEY) ?? "";
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  run(ask, "The task's spend so far stays on the key's bill.");
});
$("find").addEventListener("click", () => {
  if ($("ask").reportValidity()) run(find, "A search costs nothing, unless a model reranks the passages.");
});
$("stop").addEventListener("click", () => running?.abort());
$("new-conversation").addEventListener("click", newConversation);
$("program").addEventListener("change", showConversation);
for (const id of ["key", "tenant", "groups"]) {
  $(id).addEventListener("change", () => {
    conversation.clear(); // it may tell what others may not read
    showConversation();
  });
}
$("key").addEventListener("change", showUsage);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
showReady();
setInterval(showReady, 15000);
showUsage();
