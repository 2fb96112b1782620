// Draws the passages of /search: text, probability, and the path to each passage in words.

// How a passage leads to the next on the path; a connecting name follows.
const CONNECTIONS = {
  names: "names",
  named_by: "is named by the next, as",
  shares: "shares with the next",
  continues: "leaves the rest to the next",
};

/** The path to a passage: each step's title and its connection to the next, in words. Empty: found by the question. */
export function pathTo(passage) {
  return passage.path.map(({ title, how, via }) => ({
    title,
    leads: `${CONNECTIONS[how] ?? how.replaceAll("_", " ")}${via ? ` “${via}”` : ""}`,
  }));
}

/** The probability that the question needs a passage, in words. */
export function likelihood(probability) {
  const percent = Math.round(100 * probability);
  if (percent < 1) return "needed with less than 1 %";
  return percent > 99 ? "needed with more than 99 %" : `needed with ${percent} %`;
}

/** The list item of a passage; `element(tag, text, className)` creates an element. */
export function passageItem(passage, element) {
  const item = element("li", null, "passage");
  const head = element("div", null, "step-head");
  const title = element("b", passage.title);
  title.append(element("span", passage.doc_id, "id"));
  head.append(title);
  item.append(head);
  const hasPath = typeof passage.probability === "number"; // only mode multihop
  if (hasPath) {
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: 1, value: passage.probability });
    meter.setAttribute("aria-hidden", "true"); // the words beside it say the same
    const likely = element("span", likelihood(passage.probability), "likely");
    likely.prepend(meter);
    head.append(likely);
  }
  item.append(element("blockquote", passage.text, "text"));
  if (hasPath) item.append(foundBy(passage, element));
  if (passage.covers?.length) {
    const covers = element("p", "Covers of the question: ", "covers");
    for (const word of passage.covers) covers.append(element("span", word, "tag"), " ");
    item.append(covers);
  }
  return item;
}

function foundBy(passage, element) {
  const steps = pathTo(passage);
  if (!steps.length) return element("p", "Found by the question itself.", "way");
  const way = element("ol", null, "way");
  way.setAttribute("aria-label", "How it was found");
  for (const { title, leads } of steps) {
    const step = element("li");
    step.append(element("b", title), ` ${leads}`);
    way.append(step);
  }
  way.append(element("li", "this passage"));
  return way;
}
