// The API's description as a page, made from /openapi.json.
const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const api = await (await fetch("/openapi.json")).json();
const name = (ref) => ref.split("/").at(-1);

function type(schema) {
  if (schema.$ref) return name(schema.$ref);
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return [...new Set(several.map(type))].join(" or ");
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" or ");
  if (schema.type === "array") return `list of ${type(schema.items ?? schema.prefixItems?.[0] ?? {})}`;
  return schema.type ?? "any";
}

function fields(schema) {
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(([key, value]) => {
    const notes = [value.description, required.has(key) ? "required" : ""];
    if (value.default !== undefined && value.default !== null) notes.push(`default ${JSON.stringify(value.default)}`);
    return make("tr", "", make("td", "", make("code", key)), make("td", type(value)), make("td", notes.filter(Boolean).join("; ")));
  });
  return make("table", "", make("tbody", "", ...rows));
}

function operation(path, method, about) {
  const section = make("section", "", make("h2", "", make("code", `${method.toUpperCase()} ${path}`)), make("p", about.summary));
  for (const [kind, body] of Object.entries(about.requestBody?.content ?? {}))
    section.append(make("p", kind === "application/json" ? `Takes ${type(body.schema)}.` : `Takes ${kind}.`));
  const answers = Object.entries(about.responses).map(([status, answer]) => {
    const schema = answer.content?.["application/json"]?.schema;
    const what = schema && status === "200" && type(schema) !== "any" ? ` (${type(schema)})` : "";
    return make("tr", "", make("td", status), make("td", `${answer.description}${what}`));
  });
  section.append(make("details", "", make("summary", "Answers"), make("table", "", make("tbody", "", ...answers))));
  return section;
}

const sections = [];
for (const [path, methods] of Object.entries(api.paths))
  for (const [method, about] of Object.entries(methods)) sections.push(operation(path, method, about));
sections.push(make("h2", "Bodies"));
for (const [title, schema] of Object.entries(api.components.schemas))
  sections.push(make("section", "", make("h3", title), make("p", schema.description ?? ""), fields(schema)));
document.getElementById("paths").replaceChildren(...sections);
