
const INTERVAL = 2000, TIMEOUT = 5000; // milliseconds
let shown = null, answeredAt = null, timer;

function show(status) {
  shown = status;
  showHeader(status);
  showUpstream("ryze", status.upstreams.ryze);
  showUpstream("fallback", status.upstreams.fallback);
  showBudget(status.budget);
  showGateway(status);
  showInstances();
  showRecent(status.recent_calls);
  showForwarded(status.forwarded);
}

async function fetchStatus() {
  const response = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

// Polls while the page is visible.
async function poll() {
  if (document.hidden) return;
  const status = await fetchStatus().catch(() => null);
  byId("main").classList.toggle("stale", status === null);
  if (status === null) {
    const last = answeredAt ? ` ${text("last-response", time(answeredAt))}` : "";
    put(byId("message"), `${text("unreachable")}.${last}`, "bad");
    put(byId("state"), "", "");
    put(byId("uptime"), "");
    byId("problems").hidden = true;
    showTitle(2, text("unreachable"));
  } else {
    answeredAt = new Date();
    put(byId("message"), "", "");
    byId("main").hidden = false;
    show(status);
  }
  clearTimeout(timer);
  timer = setTimeout(poll, INTERVAL);
}

byId("filter").addEventListener("input", () => shown && showInstances());
new ResizeObserver(() => shown && showBudget(shown.budget)).observe(byId("plot"));
document.addEventListener("visibilitychange", poll);
poll();
