
const PLOTTED = 10 * MINUTE;
// Where the pointer is on the plot, in pixels from its left.
let pointer = null;

function showBudget(budget) {
  const [used, limit] = byId("in-use").children;
  put(used, number(budget.in_use));
  const { scope, waiting, remaining_at_ryze: remaining } = budget;
  put(limit, scope === "token" ? text("budget-used-token", number(budget.limit)) : text("budget-used", number(budget.limit)));
  const notes = [];
  if (waiting) notes.push(text("calls-waiting", number(waiting)));
  if (remaining !== null) notes.push(text("left-at-ryze", number(remaining)));
  put(byId("budget-note"), notes.join(", "));
  plot(budget.limit, budget.history.sent_in_last_minute, budget.history.seconds_per_point);
}

function plot(limit, points, step) {
  const last = points.length - 1, most = Math.max(0, ...points);
  const { width, height } = byId("plot").getBoundingClientRect();
  const highest = Math.max(limit, most);
  const left = 10 + 7 * number(highest).length, right = width - 5, top = 20, bottom = height - 20;
  const x = (seconds) => right - (right - left) * seconds / PLOTTED;
  const y = (value) => bottom - (bottom - top) * value / highest;
  const parts = [];
  const draw = (name, attributes, content = "") => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) part.setAttribute(key, attributes[key]);
    part.textContent = content;
    parts.push(part);
  };

  const between = limit < most ? most : Math.round(limit / 2);
  for (const value of new Set([0, between, limit])) {
    const style = value === limit ? "limit" : "grid";
    draw("line", { class: style, x1: left, x2: right, y1: y(value), y2: y(value) });
    draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value));
  }
  draw("text", { class: "limit-text", x: right, y: y(limit) - 6, "text-anchor": "end" }, text("limit"));
  const ticks = [[ago(PLOTTED), "start"], [ago(PLOTTED / 2), "middle"], [text("now"), "end"]];
  ticks.forEach(([content, anchor], place) => {
    draw("text", { x: x(PLOTTED * (1 - place / 2)), y: height - 4, "text-anchor": anchor }, content);
  });
  if (last >= 0) {
    const line = points.map((value, place) => `${x((last - place) * step)},${y(value)}`).join(" ");
    draw("polygon", { class: "area", points: `${x(last * step)},${bottom} ${line} ${right},${bottom}` });
    draw("polyline", { class: "sent", points: line });
  }
  const steps = pointer === null ? 0 : Math.round((right - pointer) / (right - left) * PLOTTED / step);
  const chosen = last - Math.min(Math.max(steps, 0), Math.max(last, 0));
  if (last >= 0) {
    const place = x((last - chosen) * step);
    if (pointer !== null) draw("line", { class: "pointer", x1: place, x2: place, y1: top, y2: bottom });
    draw("circle", { class: "chosen", cx: place, cy: y(points[chosen]), r: 3.5 });
  }
  byId("plot").replaceChildren(...parts);

  const moment = chosen === last ? text("now") : ago((last - chosen) * step);
  put(byId("plot-text"), last < 0 ? text("plot-empty") : pointer === null ?
    text("plot-now", number(points[last]), number(most)) : text("plot-at", number(points[chosen]), moment));
}

function point(event) {
  pointer = event === null ? null : event.clientX - byId("plot").getBoundingClientRect().left;
  if (shown) showBudget(shown.budget);
}

byId("plot").addEventListener("pointermove", point);
byId("plot").addEventListener("pointerdown", point);
byId("plot").addEventListener("pointerleave", () => point(null));
