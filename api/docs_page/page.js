// Draws the OpenAPI document of this server. No library: everything is text put into elements, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function resolved(schema, document_) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split("/").reduce((place, key) => place[key], document_);
}

// An example-like outline of a schema, at most `depth` levels deep.
function outline(schema, document_, depth = 4) {
  const s = resolved(schema, document_);
  const either = s.oneOf || s.anyOf;
  if (either) {
    const known = either.filter((one) => one.type !== "null");
    return known.length === 1 ? outline(known[0], document_, depth) : known.map((one) => outline(one, document_, depth - 1));
  }
  if (s.enum) return s.enum.join(" | ");
  if (depth === 0) return "…";
  if (s.properties) {
    return Object.fromEntries(Object.entries(s.properties).map(([k, v]) => [k, outline(v, document_, depth - 1)]));
  }
  if (s.type === "array" || s.items || s.prefixItems) return [outline(s.items || {}, document_, depth - 1)];
  return Array.isArray(s.type) ? s.type.join(" | ") : s.type || "any";
}

function shown(content, document_) {
  return Object.entries(content || {}).map(([type, body]) =>
    element("div", {}, element("p", {}, element("code", {}, type)),
      element("pre", {}, JSON.stringify(outline(body.schema, document_), null, 2))));
}

function parameters(list) {
  if (!list || !list.length) return [];
  const rows = list.map((p) => element("tr", {},
    element("td", {}, element("code", {}, p.name)), element("td", {}, p.in + (p.required ? ", required" : "")),
    element("td", {}, p.description || (p.schema && p.schema.description) || "")));
  return [element("h4", {}, "Parameters"), element("table", {}, ...rows)];
}

function responses(all, document_) {
  return Object.entries(all || {}).flatMap(([status, answer]) => {
    const fine = status.startsWith("2");
    const line = element("p", {}, element("code", {}, status), " " + (answer.description || ""));
    return fine ? [line, ...shown(answer.content, document_)] : [line];
  });
}

function operation(path, method, op, document_) {
  const body = element("div", {}, element("p", {}, op.description || ""), ...parameters(op.parameters));
  if (op.requestBody) body.append(element("h4", {}, "Body"), ...shown(op.requestBody.content, document_));
  body.append(element("h4", {}, "Answers"), ...responses(op.responses, document_));
  return element("details", { id: op.operationId || "" },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()),
      element("code", {}, path), element("span", { class: "what" }, op.summary || "")), body);
}

function drawn(document_) {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((m) => item[m])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(path, method, item[method], document_));
    }
  }
  const sections = [...groups].flatMap(([tag, operations]) => [element("h2", {}, tag), ...operations]);
  return [element("h1", {}, document_.info.title), element("p", {}, "Version " + document_.info.version),
    element("p", {}, document_.info.description || ""),
    element("p", {}, element("a", { href: "/schema/openapi.json" }, "OpenAPI document")), ...sections];
}

fetch("/schema/openapi.json")
  .then((answer) => answer.json())
  .then((document_) => document.getElementById("page").replaceChildren(...drawn(document_)));
