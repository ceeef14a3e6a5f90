// Hashes the evidence and the chain that stand in this file, and says whether they hold. It loads nothing.
"use strict";
(async () => {
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

  let head = "0".repeat(64), frozen = null, decided = null;
  try {
    let count = 0;
    for (const element of document.querySelectorAll("code.event")) {
      const event = read(element), { hash, ...content } = event;
      count += 1;
      if (await sha256(canonical(content)) !== hash) throw new Error(`event ${count} is not what was hashed`);
      if (event.previoushash !== head) throw new Error(`event ${count} is not linked to the one before it`);
      if (Number(event.sequence) !== count || event.subject !== document.getElementById("chain").dataset.run) throw new Error(`event ${count} does not belong here`);
      // What is frozen anew waits for a decision of its own: one on what was frozen before is void.
      if (event.type.endsWith(".evidence_frozen")) [frozen, decided] = [event.data.digest, null];
      if (event.type.endsWith(".decision_taken")) decided = event.data.digest;
      head = hash;
    }
    if (count === 0) throw new Error("there is no event");
    say("chain-verdict", true, `VERIFIED: ${count} events, unbroken. Its end is ${count}:${head}. Compare it with the tag of the key version.`);
  } catch (error) {
    say("chain-verdict", false, `NOT VERIFIED: the chain does not hold: ${error.message}.`);
    frozen = decided = null;
  }

  const evidence = document.getElementById("evidence");
  if (evidence === null) return;
  try {
    const value = read(evidence), digest = await sha256(canonical(value));
    evidence.textContent = JSON.stringify(value, null, 2);
    if (digest !== frozen) throw new Error(`it hashes to ${digest}, the chain froze ${frozen}`);
    if (decided !== null && decided !== digest) throw new Error(`it hashes to ${digest}, the last decision was on ${decided}`);
    say("evidence-verdict", true, `VERIFIED: the evidence below hashes to ${digest}, which the chain froze${decided === null ? "" : " and the decision names"}.`);
  } catch (error) {
    say("evidence-verdict", false, `NOT VERIFIED: the evidence is not what was frozen: ${error.message}.`);
  }
})();
