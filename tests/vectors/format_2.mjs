// Format 2 by node:crypto alone, from field_encrypt/FORMAT.md: a second implementation that shares no code with the library.
// Reads {"open": [vector, ...], "seal": [{..., "value"}, ...]} from standard input; writes the outcome of each vector and
// the stored form of each value.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const ALGORITHM = "A256GCM-HKDF-SHA256";
const LENGTHS = { salt: 32, commit: 32, iv: 12, ct: null, tag: 16 };
const NAMES = ["enc", "alg", "dekId", "mekVersion", ...Object.keys(LENGTHS)];

class Failure extends Error {
  constructor(outcome, property) {
    super(outcome);
    this.result = property === undefined ? { outcome } : { outcome, property };
  }
}

// RFC 8785: names by UTF-16 code units, which is how JavaScript sorts; numbers and texts as JSON.stringify writes them.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

function additionalData(place, dekId) {
  const bound = { container: place.container, dekId, documentId: place.documentId, fieldPath: place.fieldPath };
  if (place.partitionKey !== undefined) bound.partitionKey = place.partitionKey;
  if (place.context !== undefined && Object.keys(place.context).length > 0) bound.context = place.context;
  return Buffer.from(canonical(bound), "utf8");
}

function derive(dek, salt, data) {
  const info = Buffer.concat([Buffer.from(`field-encrypt/2/${ALGORITHM}\0`, "ascii"), createHash("sha256").update(data).digest()]);
  const derived = Buffer.from(hkdfSync("sha256", dek, salt, info, 64));
  return { key: derived.subarray(0, 32), commitment: derived.subarray(32) };
}

function parse(stored) {
  if (stored === null || typeof stored !== "object" || Array.isArray(stored) || stored.enc !== 2) throw new Failure("invalid_field", "enc");
  if (stored.alg === "A256GCM") throw new Failure("invalid_field", "enc"); // format 1's algorithm
  if (stored.alg !== ALGORITHM) throw new Failure("invalid_field", "alg");
  for (const name of NAMES) if (!(name in stored)) throw new Failure("invalid_field", name);
  for (const name of Object.keys(stored)) if (!NAMES.includes(name)) throw new Failure("invalid_field", name);
  for (const name of ["dekId", "mekVersion"]) {
    if (typeof stored[name] !== "string" || stored[name] === "") throw new Failure("invalid_field", name);
  }
  const field = { dekId: stored.dekId };
  for (const [name, length] of Object.entries(LENGTHS)) {
    const raw = typeof stored[name] === "string" ? Buffer.from(stored[name], "base64") : null;
    if (raw === null || raw.toString("base64") !== stored[name]) throw new Failure("invalid_field", name);
    if (length !== null && raw.length !== length) throw new Failure("invalid_field", name);
    field[name] = raw;
  }
  return field;
}

function open(vector) {
  const field = parse(vector.stored);
  const data = additionalData(vector, field.dekId);
  const { key, commitment } = derive(Buffer.from(vector.dek, "base64"), field.salt, data);
  if (!timingSafeEqual(commitment, field.commit)) throw new Failure("tampered_field");
  const decipher = createDecipheriv("aes-256-gcm", key, field.iv, { authTagLength: 16 }).setAAD(data).setAuthTag(field.tag);
  let plaintext;
  try {
    plaintext = Buffer.concat([decipher.update(field.ct), decipher.final()]);
  } catch {
    throw new Failure("tampered_field");
  }
  try {
    const [, codec, text] = /^@([a-z][a-z0-9_.-]{0,63}):([^]*)$/.exec(plaintext.toString("utf8")) ?? [];
    if (codec !== undefined) return { outcome: "decrypted", codec, value: JSON.parse(text) };
    return { outcome: "decrypted", value: JSON.parse(plaintext.toString("utf8")) };
  } catch {
    throw new Failure("invalid_field", "ct");
  }
}

function seal({ dek, dekId, value, ...place }) {
  const [salt, iv] = [randomBytes(32), randomBytes(12)];
  const data = additionalData(place, dekId);
  const { key, commitment } = derive(Buffer.from(dek, "base64"), salt, data);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: 16 }).setAAD(data);
  const ct = Buffer.concat([cipher.update(canonical(value), "utf8"), cipher.final()]);
  const binary = { salt, commit: commitment, iv, ct, tag: cipher.getAuthTag() };
  const texts = Object.fromEntries(Object.entries(binary).map(([name, raw]) => [name, raw.toString("base64")]));
  return { enc: 2, alg: ALGORITHM, dekId, mekVersion: "v1", ...texts };
}

function outcome(vector) {
  try {
    return open(vector);
  } catch (failure) {
    if (failure instanceof Failure) return failure.result;
    throw failure;
  }
}

const wanted = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify({ open: (wanted.open ?? []).map(outcome), seal: (wanted.seal ?? []).map(seal) }));
