// Shows a cited passage in its document: GET /passages, with the quote marked and the text before and after it.

import { address, nameOf } from "/console/answer.js";

const AROUND = [1, 3, 10]; // chunks on each side: at first, and each time that more is asked for

/** The text in parts, `{text, marked}`; the quote is marked, also where only its white space differs. */
export function markedParts(text, quote) {
  let start = quote ? text.indexOf(quote) : -1;
  let end = start + quote.length;
  if (start < 0 && quote.trim()) {
    const words = quote.trim().split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const match = new RegExp(words.join("\\s+")).exec(text);
    [start, end] = match ? [match.index, match.index + match[0].length] : [-1, -1];
  }
  if (start < 0) return [{ text, marked: false }];
  const parts = [
    { text: text.slice(0, start), marked: false },
    { text: text.slice(start, end), marked: true },
    { text: text.slice(end), marked: false },
  ];
  return parts.filter((part) => part.text);
}

/** The place of a passage in its document and what is known of the document, in words. */
export function placeOf({ number, chunks, source, document_type, author, updated_at }) {
  const facts = [`part ${number} of ${chunks}`, source, document_type, author && `by ${author}`];
  facts.push(updated_at && `changed ${updated_at.slice(0, 10)}`);
  return facts.filter(Boolean).join(" · ");
}

/** The path of a passage. `rights`: `{tenant, groups}` as the question had them, each may be missing. */
export function passagePath(chunkId, { tenant, groups = [] }, around) {
  const query = new URLSearchParams({ around: String(around) });
  if (tenant) query.set("tenant", tenant);
  for (const group of groups) query.append("groups", group);
  return `/passages/${encodeURIComponent(chunkId)}?${query}`;
}

function chunkNode({ heading, text }, above, element, quote) {
  const node = element("section", null, quote === undefined ? "chunk" : "chunk here");
  if (heading && heading !== above) node.append(element("h3", heading));
  const body = Object.assign(element("p"), { dir: "auto" });
  for (const part of quote === undefined ? [{ text }] : markedParts(text, quote)) {
    body.append(part.marked ? element("mark", part.text) : part.text);
  }
  node.append(body);
  return node;
}

/** The passage with its neighbours. */
export function documentNodes(passage, quote, element) {
  const chunks = [...passage.before, passage, ...passage.after];
  return chunks.map((chunk, at) =>
    chunkNode(chunk, chunks[at - 1]?.heading, element, chunk === passage ? quote : undefined),
  );
}

/**
 * The dialog in the page. `load(path)` gives the passage, or throws a problem. `open(citation, rights)` shows it; the
 * browser keeps the focus inside, closes it by Escape, and gives the focus back.
 */
export function sourceDialog($, element, load) {
  const dialog = $("source");
  let shown = null;

  async function show() {
    const { citation, rights, step } = shown;
    const opened = shown;
    $("source-more").hidden = true;
    try {
      const passage = await load(passagePath(citation.chunk_id, rights, AROUND[step]));
      if (shown !== opened) return; // another one was opened meanwhile
      $("source-place").textContent = placeOf(passage);
      $("source-text").replaceChildren(...documentNodes(passage, citation.quote, element));
      const mark = $("source-text").querySelector("mark");
      $("source-unmarked").hidden = mark !== null;
      const all = passage.before.length + passage.after.length + 1 >= passage.chunks;
      $("source-more").hidden = all || step + 1 >= AROUND.length;
      (mark ?? $("source-text").querySelector(".here")).scrollIntoView({ block: "center" });
    } catch (problem) {
      if (shown === opened) $("source-place").textContent = problem.detail ?? "The gateway does not answer.";
    }
  }

  $("source-close").addEventListener("click", () => dialog.close());
  $("source-more").addEventListener("click", () => {
    shown = { ...shown, step: shown.step + 1 };
    show();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  return function open(citation, rights) {
    shown = { citation, rights, step: 0 };
    $("source-title").textContent = nameOf(citation);
    $("source-place").textContent = "reading";
    $("source-address").replaceChildren(...(citation.uri ? [address(citation.uri, element)] : []));
    $("source-text").replaceChildren();
    $("source-unmarked").hidden = true;
    dialog.showModal();
    return show();
  };
}
