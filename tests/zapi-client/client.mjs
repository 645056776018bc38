// Runs privacy calls through the npm package z-api-sdk, a client that was written for Z-API and
// knows nothing of the gateway but its base URL.
//
//   node client.mjs BASE_URL INSTANCE TOKEN [CLIENT_TOKEN]
//
// Stdin has a JSON line for each call, {"method":"setProfilePhoto","argument":{"visualizationType":"ALL"}}.
// Each is answered by a JSON line on stdout before the next is read: {"requests":N,"resolved":VALUE},
// or {"requests":N,"rejected":{"name":…,"status":…,"body":…,"message":…}} with what the package's
// error carries (status and body only where there was an answer). N is how many requests the package
// made.

import { subscribe } from "node:diagnostics_channel";
import { createInterface } from "node:readline";
import { ZAPI } from "z-api-sdk";

const [baseURL, instanceId, token, clientToken = ""] = process.argv.slice(2);
const { privacy } = new ZAPI({ baseURL, instanceId, token, clientToken });

let requests = 0;
subscribe("http.client.request.start", () => (requests += 1));

for await (const line of createInterface({ input: process.stdin })) {
  const { method, argument } = JSON.parse(line);
  requests = 0;
  const outcome = await privacy[method](argument).then(
    (resolved) => ({ resolved }),
    ({ name, status, body, message }) => ({ rejected: { name, status, body, message } }),
  );
  console.log(JSON.stringify({ requests, ...outcome }));
}
