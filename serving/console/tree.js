// A task's steps as a tree: what each sub-task did stands together, and the steps that the task's time went by are known.

const CLOCK_SLACK_MS = 1; // a start is read from one clock, a duration from another

// Date.parse alone drops what is below a millisecond, and a tool call may be.
const instant = (iso) => Date.parse(iso.replace(/\.\d+/, "")) + 1000 * Number(/\.\d+/.exec(iso)?.[0] ?? 0);

function span(step) {
  const begun = instant(step.started_at);
  return { step, begun, ended: begun + step.latency_ms };
}

const timed = (steps) => steps.filter((step) => step.started_at).map(span);

/** The steps of the critical path: back from the last end, always to the one that ended last before that one began. */
export function criticalPath(steps) {
  let left = timed(steps).sort((one, other) => one.ended - other.ended);
  const path = [];
  while (left.length) {
    const { step, begun } = left.pop();
    path.unshift(step);
    left = left.filter((one) => one.begun < begun && one.ended <= begun + CLOCK_SLACK_MS);
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
    branch.ms = spans.length ? Math.max(...spans.map((one) => one.ended)) - Math.min(...spans.map((one) => one.begun)) : 0;
    branch.usd = inside.reduce((sum, step) => sum + Number(step.usd), 0);
    branch.critical = branch.nodes.some(({ critical }) => critical);
  }
  return tree;
}
