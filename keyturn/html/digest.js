// Hashes what stands in the page, in the reader's browser. It loads nothing.
"use strict";
const escaped = text => text.replace(/[\u007f-\uffff]/g, unit => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
// RFC 8785: members in the order of their names' UTF-16 code units, numbers and texts as ECMAScript writes them.
const canonical = value => {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  return "{" + Object.keys(value).sort().map(name => JSON.stringify(name) + ":" + canonical(value[name])).join(",") + "}";
};
const sha256 = async text => [...new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))]
  .map(byte => byte.toString(16).padStart(2, "0")).join("");
const read = element => {
  const text = element.textContent, value = JSON.parse(text);
  // A text with a member twice, or with anything beside what is hashed, is not what a reader believes to see.
  if (escaped(canonical(value)) !== text) throw new Error("not canonical");
  return value;
};
const say = (id, holds, text) => {
  const line = document.getElementById(id);
  line.textContent = text;
  line.className = "notice " + (holds ? "pass" : "fail");
};
