// A task's steps as a tree, grouped by sub-task, with the critical path.

const CLOCK_SLACK_MS = 1; // starts and durations come from two clocks

// Date.parse drops fractions of a millisecond, and a tool call can be that short.
const instant = (iso) => Date.parse(iso.replace(/\.\d+/, "")) + 1000 * Number(/\.\d+/.exec(iso)?.[0] ?? 0);

function span(step) {
  const began = instant(step.started_at);
  return { step, began, ended: began + step.latency_ms };
}

const timed = (steps) => steps.filter((step) => step.started_at).map(span);

/** The steps of the critical path: backwards from the last end, each preceded by the step that ended last before it. */
export function criticalPath(steps) {
  let earlier = timed(steps).sort((a, b) => a.ended - b.ended);
  const path = [];
  while (earlier.length) {
    const { step, began } = earlier.pop();
    path.unshift(step);
    earlier = earlier.filter((span) => span.began < began && span.ended <= began + CLOCK_SLACK_MS);
  }
  return path;
}

/** Nodes in the order of their first end: `{step, critical}`, and `{subTask, ms, usd, critical, nodes}` for a sub-task. */
export function taskTree(steps) {
  const path = new Set(criticalPath(steps));
  const tree = [];
  const branches = new Map();
  for (const step of steps) {
    const leaf = { step, critical: path.has(step) };
    if (!step.sub_task) {
      tree.push(leaf);
      continue;
    }
    if (!branches.has(step.sub_task)) {
      branches.set(step.sub_task, { subTask: step.sub_task, nodes: [] });
      tree.push(branches.get(step.sub_task));
    }
    branches.get(step.sub_task).nodes.push(leaf);
  }
  for (const branch of branches.values()) {
    const inside = branch.nodes.map(({ step }) => step);
    const spans = timed(inside);
    branch.ms = spans.length ? Math.max(...spans.map(({ ended }) => ended)) - Math.min(...spans.map(({ began }) => began)) : 0;
    branch.usd = inside.reduce((sum, step) => sum + Number(step.usd), 0);
    branch.critical = branch.nodes.some(({ critical }) => critical);
  }
  return tree;
}
