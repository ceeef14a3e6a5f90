// Says whether the evidence in this page is what its digest names, after digest.js.
(async () => {
  const evidence = document.getElementById("evidence");
  if (evidence === null || !globalThis.crypto?.subtle) return; // without HTTPS a browser hashes nothing
  try {
    const digest = await sha256(canonical(read(evidence)));
    if (digest !== evidence.dataset.digest) throw new Error(`it hashes to ${digest}, the digest is ${evidence.dataset.digest}`);
    say("evidence-verdict", true, `VERIFIED by your browser: the evidence hashes to ${digest}.`);
  } catch (error) {
    say("evidence-verdict", false, `NOT VERIFIED by your browser: ${error.message}. Take no decision on it; tell an operator.`);
    evidence.closest("details.whole")?.setAttribute("open", "");
  }
})();
