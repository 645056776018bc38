// Runs privacy calls through the npm package z-api-sdk, a client that was written for Z-API and
// knows nothing of the gateway but its base URL.
//
//   node client.mjs BASE_URL INSTANCE TOKEN [CLIENT_TOKEN]
//
// Stdin is a JSON list of calls, [{"method":"setProfilePhoto","argument":{"visualizationType":"ALL"}}].
// They run one after the other. Stdout has a JSON line for each: {"resolved":VALUE}, or
// {"rejected":{"name":…,"status":…,"body":…,"message":…}} with what the package's error carries
// (status and body only where there was an answer).

import { json } from "node:stream/consumers";
import { ZAPI } from "z-api-sdk";

const [baseURL, instanceId, token, clientToken = ""] = process.argv.slice(2);
const { privacy } = new ZAPI({ baseURL, instanceId, token, clientToken });

for (const { method, argument } of await json(process.stdin)) {
  const outcome = await privacy[method](argument).then(
    (resolved) => ({ resolved }),
    ({ name, status, body, message }) => ({ rejected: { name, status, body, message } }),
  );
  console.log(JSON.stringify(outcome));
}
