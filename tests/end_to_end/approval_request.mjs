// Runs docs/deploy.md's business rule on what it uses of ServiceNow, and prints the request that it sends.
// Standard input: {"script", "secret", "url", "rotation", "digest", "approver", "approverId"}.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const given = JSON.parse(readFileSync(0, "utf-8"));
const properties = { "x_keyturn.webhook_secret": given.secret, "x_keyturn.url": given.url };
const sent = { headers: {} };

class GlideRecord {
  approver = { email: given.approver, u_entra_object_id: given.approverId };
  addQuery() {}
  query() {}
  next() {
    return true;
  }
}

class GlideDateTime {
  getNumericValue() {
    return Date.now();
  }
}

class GlideCertificateEncryption {
  // The key is base64, and so is the result.
  generateMac(key, algorithm, data) {
    return createHmac(algorithm.replace("Hmac", "").toLowerCase(), Buffer.from(key, "base64")).update(data).digest("base64");
  }
}

class RESTMessageV2 {
  setEndpoint(url) {
    sent.url = url;
  }
  setHttpMethod(method) {
    sent.method = method.toUpperCase();
  }
  setRequestHeader(name, value) {
    sent.headers[name] = value;
  }
  setRequestBody(body) {
    sent.body = body;
  }
  execute() {
    return { getStatusCode: () => 200 };
  }
}

const current = {
  sys_id: "9d385017c611228701d22104cc95c371",
  sys_mod_count: 7,
  number: "CHG0030002",
  u_rotation_id: given.rotation,
  u_evidence_digest: given.digest,
  update() {},
};
const parts = { current, gs: { getProperty: (name) => properties[name] }, GlideRecord, GlideDateTime, GlideCertificateEncryption, sn_ws: { RESTMessageV2 } };
new Function(...Object.keys(parts), given.script)(...Object.values(parts));
console.log(JSON.stringify(sent));
