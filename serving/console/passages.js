// Passages as /search finds them: what each says, how likely the question needs it, and in words how it was found.

// What stands between a passage and the next one on the way; a name that connects them is told with it.
const WAYS = {
  names: "names",
  named_by: "is named by the next, as",
  shares: "shares with the next",
  continues: "leaves the rest to the next",
};

/** The way to a passage: of each step the title and how it leads on, in words. Empty: the question itself led to it. */
export function wayTo(passage) {
  return passage.path.map(({ title, how, via }) => ({
    title,
    leads: `${WAYS[how] ?? how.replaceAll("_", " ")}${via ? ` “${via}”` : ""}`,
  }));
}

/** How likely the question needs a passage, in words. */
export function likelihood(probability) {
  const percent = Math.round(100 * probability);
  if (percent < 1) return "needed with less than 1 %";
  return percent > 99 ? "needed with more than 99 %" : `needed with ${percent} %`;
}

/** A list item that tells all of it; `element(tag, text, className)` makes an element. */
export function passageItem(passage, element) {
  const item = element("li", null, "passage");
  const head = element("div", null, "step-head");
  const title = element("b", passage.title);
  title.append(element("span", passage.doc_id, "id"));
  head.append(title);
  item.append(head);
  const told = typeof passage.probability === "number"; // by mode multihop alone
  if (told) {
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: 1, value: passage.probability });
    meter.setAttribute("aria-hidden", "true"); // the words beside it say the same
    const likely = element("span", likelihood(passage.probability), "likely");
    likely.prepend(meter);
    head.append(likely);
  }
  item.append(element("blockquote", passage.text, "text"));
  if (told) item.append(foundBy(passage, element));
  if (passage.covers?.length) {
    const covers = element("p", "Covers of the question: ", "covers");
    for (const word of passage.covers) covers.append(element("span", word, "tag"), " ");
    item.append(covers);
  }
  return item;
}

function foundBy(passage, element) {
  const steps = wayTo(passage);
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
