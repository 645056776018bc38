
const RENEW_BEFORE = 14; // days
const STYLES = ["good", "warn", "bad"];

// The keys come from the gateway: without a prototype a look-up finds only these.
const PHASES = {
  __proto__: null,
  serving: [text("serving"), 0],
  delaying: [text("delaying"), 1],
  draining: [text("draining"), 1],
  cut: [text("cut"), 2],
};
const REDIS = {
  __proto__: null,
  shared: [text("redis-shared"), 0, "", ""],
  silent: [text("redis-silent"), 2, text("redis-silent-note"), text("redis-lost")],
  alone: [text("redis-not-shared"), 1, text("redis-alone-note"), text("redis-alone")],
};

const daysLeft = ({ not_after }) => Math.floor((not_after - Date.now() / 1000) / DAY);
const isFull = ({ open, limit }) => open >= limit;
const isFaulty = (instance) => instance.failing || instance.held !== null;

// 0, 1 or 2 as in STYLES.
function upstreamLevel({ up, calls, failed }) {
  if (up === false) return 2;
  return calls >= 5 && failed * 2 >= calls ? 1 : 0;
}

// What is wrong, as [level, text], the worst first.
function problems({ phase, upstreams, budget, connections, certificate, configuration, instances }) {
  const found = [];
  const add = (level, content) => level > 0 && found.push([level, content]);
  const [phaseText, phaseLevel] = PHASES[phase] ?? [phase, 1];
  add(phaseLevel, phaseText);
  for (const [name, upstream] of [["Ryze", upstreams.ryze], ["Z-API", upstreams.fallback]]) {
    if (upstream === null) continue;
    const level = upstreamLevel(upstream);
    add(level, level === 2 ? text("is-down", name) : text("mostly-fails", name));
  }
  if (budget.redis !== null) {
    const [, level, , content] = REDIS[budget.redis] ?? ["", 1, "", budget.redis];
    add(level, content);
  }
  const faulty = instances.filter(isFaulty).length;
  const active = instances.filter(({ last_10_minutes: { done, failed } }) => done + failed > 0).length;
  if (faulty > 0) add(faulty * 2 >= active ? 2 : 1, text("instances-fail", number(faulty), number(instances.length)));
  if (isFull(connections)) add(1, text("connections-full"));
  if (certificate !== null) {
    const days = daysLeft(certificate);
    if (days < 0) add(2, text("certificate-expired"));
    else if (days < RENEW_BEFORE) add(1, text("certificate-expires"));
  }
  if (!configuration.last_reload_applied) add(1, text("reload-rejected"));
  const { restart_pending } = configuration;
  if (restart_pending.length) add(1, text("restart-needed", restart_pending.join(", ")));
  return found.sort(([a], [b]) => b - a);
}

function showHeader(status) {
  const found = problems(status);
  const [level, worst] = found[0] ?? [0, text("serving")];
  const summary = found.length > 1 ? text("others", worst, number(found.length - 1)) : worst;
  put(byId("state"), summary, STYLES[level]);
  const list = byId("problems");
  list.hidden = found.length < 2;
  resize(list, found.length, () => element("li"));
  found.forEach(([of, content], place) => put(list.children[place], content, STYLES[of]));
  put(byId("host"), status.host || location.host);
  put(byId("version"), status.version);
  put(byId("uptime"), text("up", duration(status.uptime_seconds)));
  showTitle(level, summary);
}

function showTitle(level, summary) {
  document.title = `${["✓", "!", "✕"][level]} ${byId("host").textContent}: ${summary} – zapi-to-ryze`;
}

function failureText({ reason, status, seconds_ago }) {
  return text("failure-of", reason === null ? `HTTP ${status}` : reasonText(reason), ago(seconds_ago));
}

function showUpstream(id, upstream) {
  const figures = byId(`${id}-figures`);
  figures.hidden = upstream === null;
  if (upstream === null) {
    put(byId(`${id}-state`), text("no-fallback"), "muted");
    put(byId(`${id}-note`), "");
    return;
  }
  const { up, calls_last_minute, calls, failed, p50_ms, p95_ms, last_failure, window_seconds } = upstream;
  const level = upstreamLevel(upstream);
  const state = up === null ? text("not-called") : up ? text("responds") : text("no-response");
  put(byId(`${id}-state`), state, up === null ? "muted" : STYLES[level]);
  const shown = [
    [number(calls_last_minute), text("calls-a-minute")],
    [calls ? percent((calls - failed) / calls) : "–", text("success-share")],
    [millis(p50_ms), "p50"],
    [millis(p95_ms), "p95"],
  ];
  resize(figures, shown.length, () => element("div", element("dt"), element("dd")));
  shown.forEach(([value, label], place) => {
    const [term, figure] = figures.children[place].children;
    put(term, label);
    put(figure, value);
  });
  const notes = last_failure === null ? [] : [failureText(last_failure)];
  if (calls) notes.push(text("window", duration(window_seconds)));
  put(byId(`${id}-note`), notes.join(". "));
}

function showGateway({ budget, connections, certificate, configuration }) {
  byId("redis-fact").hidden = budget.redis === null;
  const [state, level, note] = REDIS[budget.redis] ?? [budget.redis ?? "", 1, ""];
  put(byId("redis"), state, STYLES[level]);
  put(byId("redis-note"), note);

  put(byId("connections"), text("of", number(connections.open), number(connections.limit)),
    isFull(connections) ? "warn" : "");
  const { turned_away, accept_errors } = connections, lost = [];
  if (turned_away > 0) lost.push(text("connections-rejected", number(turned_away)));
  if (accept_errors > 0) lost.push(text("connections-failed", number(accept_errors)));
  put(byId("connections-note"), lost.join("; "));

  byId("certificate-fact").hidden = certificate === null;
  if (certificate !== null) {
    const days = daysLeft(certificate);
    const left = days < 0 ? text("expired") : text("days-left", number(days));
    put(byId("certificate"), left, days < 0 ? "bad" : days < RENEW_BEFORE ? "warn" : "good");
    put(byId("certificate-note"), text("until", time(new Date(certificate.not_after * 1000))));
  }

  const { reloads_applied, reloads_refused, last_reload_applied, restart_pending } = configuration;
  put(byId("reloads"), text("reloads", number(reloads_applied), number(reloads_refused)));
  put(byId("refused"), last_reload_applied ? "" : text("old-in-force"), last_reload_applied ? "" : "warn");
  const pending = restart_pending.length > 0;
  put(byId("restart"), pending ? text("restart-needed", restart_pending.join(", ")) : "", pending ? "warn" : "");
}
