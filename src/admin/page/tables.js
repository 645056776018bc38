
const MAX_ROWS = 100;
const RESULT_STYLES = { __proto__: null, done: "good", failed: "bad", client_error: "warn" };
const SUSPENSIONS = { __proto__: null, denied: text("denied"), throttled: text("throttled") };
const SUCCESSES = { __proto__: null, confirmed: text("confirmed"), read: text("read") };
const INSTANCE = "/instances/{id}/token/{token}";

const count = (value, style) => [number(value), value ? style : "zero"];

// What would have happened to the calls of an observed instance.
function observation({ translated, forwarded, refused, unread, last_refusal }) {
  const parts = [text("observed", number(translated))];
  if (forwarded) parts.push(text("observed-forwarded", number(forwarded)));
  if (refused) parts.push(text("observed-refused", number(refused), refusalText(last_refusal)));
  if (unread) parts.push(text("observed-unread", number(unread)));
  return [parts.join(", "), refused ? "warn" : "muted"];
}

// The last cell of an instance.
function stateOf({ observed, held, failing, last_failure }) {
  if (observed) return observation(observed);
  const last = last_failure && reasonText(last_failure.reason ?? last_failure.outcome);
  const when = last_failure ? ago(last_failure.seconds_ago) : "";
  if (held) {
    const suspension = text("suspended", duration(held.seconds_left), SUSPENSIONS[held.cause] ?? held.cause);
    return [suspension, failing ? "bad" : "warn", last ? `${last}, ${when}` : ""];
  }
  return last ? [last, failing ? "bad" : "muted", when] : [""];
}

function instanceRow(instance) {
  const { name, zapi_instance, waiting, last_10_minutes: { done, failed, client_errors } } = instance;
  return [
    [name, "", zapi_instance],
    count(done, ""),
    count(failed, "failed"),
    count(client_errors, ""),
    count(waiting, ""),
    stateOf(instance),
  ];
}

function showInstances() {
  const { instances } = shown;
  const wanted = byId("filter").value.trim().toLowerCase();
  const matches = (row) => row.some((cell) => cell.some((part) => part.toLowerCase().includes(wanted)));
  const rank = ({ held, failing, last_10_minutes: { done, failed, client_errors } }) =>
    held ? 0 : failing ? 1 : failed ? 2 : done + client_errors ? 3 : 4;
  const order = (a, b) => rank(a) - rank(b) || collator.compare(a.name, b.name);
  let rows = [...instances].sort(order).map(instanceRow);
  const held = instances.filter((instance) => instance.held).length;
  const failing = instances.filter((instance) => instance.failing && !instance.held).length;
  if (wanted) rows = rows.filter(matches);
  put(byId("count"), wanted ? text("instances-shown", number(rows.length), number(instances.length)) :
    text("instance-count", number(instances.length), number(held), number(failing)));
  put(byId("more"), rows.length > MAX_ROWS ? text("more-instances", MAX_ROWS) : "");
  fillTable(byId("rows"), rows.slice(0, MAX_ROWS));
}

function callName(method, route) {
  return route === "other" ? `${method} (${text("undocumented")})` : `${method} ${route.replace(INSTANCE, "")}`;
}

function showRecent(calls) {
  fillTable(byId("recent"), calls.map((call) => {
    const { method, route, instance, zapi_instance, status, result, outcome, reason } = call;
    const content = reason ? reasonText(reason) : SUCCESSES[outcome] ?? text("zapi-responded", status);
    return [
      [callName(method, route)],
      [instance ?? zapi_instance ?? ""],
      [content, RESULT_STYLES[result] ?? "", reason && status ? `HTTP ${status}` : ""],
      [number(call.total_ms)],
      [ago(call.seconds_ago)],
      [call.request_id],
    ];
  }));
}

function showForwarded({ base_url, calls }) {
  const total = calls.reduce((sum, call) => sum + call.total, 0);
  put(byId("fallback-url"), base_url ?? "");
  put(byId("forwarded-note"), base_url === null ? text("no-fallback") :
    text("forwarded-note", number(total), base_url));
  byId("forwarded-table").hidden = calls.length === 0;
  fillTable(byId("calls"), calls.map(({ method, route, total, statuses, seconds_ago }) => {
    const responses = Object.entries(statuses)
      .map(([status, times]) => `${number(times)} × ${status === "none" ? text("no-call-response") : status}`);
    return [[callName(method, route)], [responses.join(", ")], [ago(seconds_ago)], [number(total)]];
  }));
}
