// Says whether the evidence and the chain in this file hold, after digest.js.
(async () => {
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
