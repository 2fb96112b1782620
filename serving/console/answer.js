// Draws an answer: its text with numbered citations, what was left out, and where each citation stands.

import { drawn } from "/console/markdown.js";

const FORMS = {
  fact: "fact",
  yes_no: "yes or no",
  number: "number",
  list: "list",
  steps: "steps",
  explanation: "explanation",
  comparison: "comparison",
};

/** Where the statements end in the answer's text, with their citations; one that is not found ends with the text. */
export function statementEnds({ answer, statements = [] }) {
  let at = 0;
  const ends = statements.map(({ text, citations }) => {
    const start = answer.indexOf(text, at);
    if (start < 0) return { end: answer.length, citations };
    at = start + text.length;
    if (".。".includes(answer[at] ?? " ")) at += 1; // the full stop was added
    return { end: at, citations };
  });
  return ends.filter(({ citations }) => citations.length).sort((a, b) => a.end - b.end);
}

/** Title and headings of a citation; the document's id where there is neither. */
export const nameOf = ({ title, heading, doc_id }) => [title, heading].filter(Boolean).join(" › ") || doc_id;

/** A link for an address of the web, plain text for any other: a document may name `javascript:`. */
export function address(uri, element) {
  if (!/^https?:\/\//i.test(uri)) return element("span", uri, "id");
  const link = element("a", uri, "id");
  return Object.assign(link, { href: uri, target: "_blank", rel: "noopener noreferrer" });
}

/** The nodes of an answer's text. `open(citation)` is called when a citation's number is chosen. */
export function answerText(answer, element, open) {
  const text = answer.answer || "No answer in the documents that this key may read.";
  if (!answer.statements?.length && !text.includes("\n")) return [element("p", text, "short")]; // copied, to the letter
  const notes = statementEnds(answer).map(({ end, citations }) => {
    const node = element("span", null, "notes");
    node.append(...citations.map((place) => numberButton(answer.citations[place], place + 1, element, open)));
    return { end, node };
  });
  return drawn(text, element, notes);
}

function numberButton(citation, number, element, open) {
  const button = element("button", String(number), "number");
  Object.assign(button, { type: "button", title: citation.quote });
  button.setAttribute("aria-label", `Citation ${number}: ${nameOf(citation)}`);
  button.addEventListener("click", () => open(citation));
  return button;
}

/** The list item of a citation: what opens its passage, its address, and the quote. */
export function citationItem(citation, element, open) {
  const item = element("li");
  const name = element("button", nameOf(citation), "link source");
  Object.assign(name, { type: "button", title: "Show it in its document" });
  name.addEventListener("click", () => open(citation));
  item.append(name, element("span", citation.doc_id, "id"));
  if (citation.uri && citation.uri !== citation.doc_id) item.append(" ", address(citation.uri, element));
  item.append(element("blockquote", citation.quote));
  return item;
}

/** The form in words, or "". */
export const formOf = ({ form }) => FORMS[form] ?? form ?? "";

/** What a reader must know beside the answer: how it was understood, what was read, what was left out. */
export function remarks(answer, element) {
  const all = [];
  if (answer.question) all.push(element("p", `Understood as: ${answer.question}`, "note"));
  if (answer.reason && answer.status !== "answered") all.push(element("p", answer.reason, "note"));
  if (typeof answer.documents_read === "number") {
    const left = answer.documents_left ? `${answer.documents_left} more were found and not read` : "all that were found";
    all.push(element("p", `Made from ${answer.documents_read} documents; ${left}.`, "note"));
  }
  if (answer.dropped?.length) all.push(droppedNote(answer.dropped, element));
  return all;
}

function droppedNote(dropped, element) {
  const node = element("details");
  const what = dropped.length === 1 ? "1 sentence was left out: no passage supports it" : `${dropped.length} sentences were left out: no passage supports them`;
  const list = element("ul");
  list.append(...dropped.map((sentence) => element("li", sentence)));
  node.append(element("summary", what), list);
  return node;
}
