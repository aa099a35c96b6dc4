// The HTTP calls, from the server's own description of them.
import { ask, base, make, token } from "./page.js";

const header = token ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
document.getElementById("example").textContent = `curl ${base}/v1/analyze${header} \\
  -H "Content-Type: application/json" -d '{"prompt": "a lion in a meadow", "seed": 3}' > lion.json

jq '{scene: .}' lion.json | curl ${base}/v1/render${header} \\
  -H "Content-Type: application/json" -d @- > lion.png`;

const typeOf = (schema) =>
  schema.enum?.join(", ") ??
  (schema.$ref && "object") ??
  schema.type ??
  schema.anyOf?.map(typeOf).filter((type) => type !== "null").join(" or ") ??
  "";

const calls = document.getElementById("calls");
try {
  const api = await (await ask("openapi.json")).json();
  for (const [path, verbs] of Object.entries(api.paths))
    for (const [verb, call] of Object.entries(verbs)) {
      calls.append(make("h2", `${verb.toUpperCase()} ${path}`), make("p", call.description ?? call.summary ?? ""));
      const body = call.requestBody?.content?.["application/json"]?.schema?.$ref;
      const fields = body && api.components.schemas[body.split("/").at(-1)].properties;
      if (!fields) continue;
      const table = make("table");
      const head = make("tr");
      head.append(make("th", "field"), make("th", "type"), make("th", "what it is"));
      table.append(head);
      for (const [name, schema] of Object.entries(fields)) {
        const row = make("tr");
        const cell = make("td");
        cell.append(make("code", name));
        row.append(cell, make("td", typeOf(schema)), make("td", schema.description ?? ""));
        table.append(row);
      }
      calls.append(table);
    }
} catch (fault) {
  calls.append(make("p", fault.message, { class: "bad", role: "status" }));
}
