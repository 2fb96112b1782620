// A small Markdown for answers: paragraphs, lists, tables, fenced code, `code` and **bold**. All else stays as written.
// It makes nodes with text, never markup: an answer repeats what strangers wrote.

const FENCE = /^\s*(`{3,}|~{3,})([^`]*)$/;
const ITEM = /^(\s*)(?:[-*•]|(\d{1,9})[.)])\s+(?=\S)/;
const ROW = /^\s*\|/;
const RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/; // between a table's header and its rows
const CODE_OR_BOLD = /(?<!`)(`+)(?!`)(.*?[^`])\1(?!`)|\*\*(?=[^\s*])([^*\n]*[^\s*(])\*\*(?![\p{L}\p{N}])/gsu;
const CODE = /(?<!`)(`+)(?!`).*?[^`]\1(?!`)/gs;
const DEEPEST = 3; // of nested lists

function linesOf(text) {
  let at = 0;
  return text.split("\n").map((line) => {
    const start = at;
    at += line.length + 1;
    return { text: line, start, end: start + line.length };
  });
}

const isBlank = (line) => !line.text.trim();

function fencedCode(lines, at) {
  const [, fence, language] = FENCE.exec(lines[at].text) ?? [];
  if (!fence) return null;
  const closes = (line) => line.text.trim().startsWith(fence) && !line.text.trim().replaceAll(fence[0], "");
  let close = at + 1;
  while (close < lines.length && !closes(lines[close])) close += 1;
  const text = lines.slice(at + 1, close).map((line) => line.text).join("\n");
  const last = Math.min(close, lines.length - 1);
  return { kind: "code", language: language.trim(), text, start: lines[at].start, end: lines[last].end, next: close + 1 };
}

/** The cells of a table's row. A pipe inside `code`, or after a backslash, is no border. */
export function cells(row) {
  const kept = row.trim().replace(CODE, (code) => code.replaceAll("|", "\0")).replaceAll("\\|", "\0");
  const parts = kept.replace(/^\|/, "").replace(/\|$/, "").split("|");
  return parts.map((cell) => cell.trim().replaceAll("\0", "|"));
}

function table(lines, at) {
  if (!ROW.test(lines[at].text) || !RULE.test(lines[at + 1]?.text ?? "")) return null;
  let next = at + 2;
  while (next < lines.length && ROW.test(lines[next].text)) next += 1;
  const rows = lines.slice(at + 2, next).map(({ text, start, end }) => ({ cells: cells(text), start, end }));
  return { kind: "table", header: cells(lines[at].text), rows, next };
}

function list(lines, at) {
  const ordered = ITEM.exec(lines[at].text)?.[2] !== undefined;
  if (!ITEM.test(lines[at].text)) return null;
  const items = [];
  let next = at;
  for (; next < lines.length; next += 1) {
    const { text, start, end } = lines[next];
    const [bullet, indent, number] = ITEM.exec(text) ?? [];
    if (bullet && (number !== undefined) === ordered) {
      const depth = Math.min(DEEPEST, Math.floor(indent.length / 2));
      items.push({ text: text.slice(bullet.length), number: Number(number), depth, start, end });
    } else if (!bullet && /^\s+\S/.test(text) && !FENCE.test(text)) {
      const item = items.at(-1); // a line that continues it
      item.text += `\n${text.trim()}`;
      item.end = end;
    } else {
      break;
    }
  }
  return { kind: "list", ordered, items, next };
}

function paragraph(lines, at) {
  let next = at + 1;
  const begins = () => fencedCode(lines, next) || table(lines, next) || list(lines, next);
  while (next < lines.length && !isBlank(lines[next]) && !begins()) next += 1;
  return { kind: "text", start: lines[at].start, end: lines[next - 1].end, next };
}

/** The blocks of a text, each with its place in it. */
export function blocks(text) {
  const lines = linesOf(text);
  const all = [];
  for (let at = 0; at < lines.length; ) {
    if (isBlank(lines[at])) {
      at += 1;
      continue;
    }
    const block = fencedCode(lines, at) ?? table(lines, at) ?? list(lines, at) ?? paragraph(lines, at);
    all.push(block);
    at = block.next;
  }
  return all;
}

function inline(text, element) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(CODE_OR_BOLD)) {
    const [whole, , code, bold] = match;
    if (match.index > at) parts.push(text.slice(at, match.index));
    if (code !== undefined) parts.push(element("code", code.replace(/^ (.*) $/s, "$1")));
    else {
      const strong = element("strong");
      strong.append(...inline(bold, element));
      parts.push(strong);
    }
    at = match.index + whole.length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

/**
 * The nodes of a text. `notes`: `{end, node}` in their order; each node is put behind the place where its part of the
 * text ends. `element(tag, text, className)` creates an element.
 */
export function drawn(text, element, notes = []) {
  const within = (start, end) => notes.filter((note) => note.end > start && note.end <= end);
  const nodesOf = ({ start, end }) => within(start, end).map((note) => note.node);
  const directed = (tag, className) => Object.assign(element(tag, null, className), { dir: "auto" });

  function drawText({ start, end }) {
    const node = directed("p");
    let at = start;
    for (const note of within(start, end)) {
      node.append(...inline(text.slice(at, note.end), element), note.node);
      at = note.end;
    }
    node.append(...inline(text.slice(at, end), element));
    return node;
  }

  function drawCode(block) {
    const node = element("div", null, "code");
    const pre = Object.assign(element("pre"), { dir: "ltr", tabIndex: 0 }); // it scrolls, also by the keyboard
    pre.append(element("code", block.text));
    node.append(pre, ...nodesOf(block));
    return node;
  }

  function drawList({ ordered, items }) {
    const node = directed(ordered ? "ol" : "ul");
    let last = 0;
    for (const item of items) {
      const line = directed("li", item.depth ? `depth${item.depth}` : "");
      last = ordered && item.number > last ? item.number : last + 1;
      if (ordered) line.value = last; // code between two steps does not begin a new count
      line.append(...inline(item.text, element), ...nodesOf(item));
      node.append(line);
    }
    return node;
  }

  function drawTable({ header, rows }) {
    const node = directed("table");
    const width = Math.max(header.length, ...rows.map((row) => row.cells.length));
    const line = (tag, texts, more = []) => {
      const row = element("tr");
      const all = Array.from({ length: width }, (_, column) => directed(tag));
      all.forEach((cell, column) => cell.append(...inline(texts[column] ?? "", element)));
      all.at(-1).append(...more);
      row.append(...all);
      return row;
    };
    if (header.some(Boolean)) node.append(line("th", header));
    node.append(...rows.map((row) => line("td", row.cells, nodesOf(row))));
    const scroller = element("div", null, "table");
    scroller.append(node);
    return scroller;
  }

  const draw = { text: drawText, code: drawCode, list: drawList, table: drawTable };
  return blocks(text).map((block) => draw[block.kind](block));
}
