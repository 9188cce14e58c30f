// Verifies one credential with @sd-jwt/sd-jwt-vc, offline: everything it needs comes on stdin.
//
//   node verify.mjs MODULES < job.json
//
// MODULES is the folder that holds node_modules. The job: {credential, metadata, statusList, type,
// now, audience?, nonce?}. The answer is one line of JSON: {payload, bound} or {refused}.
import { createHash, createPublicKey, verify as check } from "node:crypto";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { readFileSync } from "node:fs";

const require = createRequire(resolve(process.argv[2], "package.json"));
const { SDJwtVcInstance, TypeMetadataFormatSchema } = require("@sd-jwt/sd-jwt-vc");
const job = JSON.parse(readFileSync(0, "utf8"));
const header = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[0], "base64url"));

function verifySignature(jwk, alg, data, signature) {
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const bytes = Buffer.from(signature, "base64url");
  return alg === "EdDSA"
    ? check(null, Buffer.from(data), key, bytes)
    : check("sha256", Buffer.from(data), { key, dsaEncoding: "ieee-p1363" }, bytes);
}

function issuerKey(data) {
  const { kid } = header(data);
  const key = job.metadata.jwks.keys.find((one) => one.kid === kid);
  if (!key) throw new Error("unknown key");
  return key;
}

const verifier = (data, signature) => {
  const key = issuerKey(data);
  return verifySignature(key, key.alg, data, signature);
};
const instance = new SDJwtVcInstance({
  verifier,
  hasher: (data, alg) => createHash(alg.replace("-", "")).update(data).digest(),
  hashAlg: "sha-256",
  kbVerifier: (data, signature, payload) => {
    const jwk = payload.cnf.jwk;
    return verifySignature(jwk, jwk.kty === "OKP" ? "EdDSA" : "ES256", data, signature);
  },
  statusListFetcher: async (uri) => {
    const list = JSON.parse(Buffer.from(job.statusList.split(".")[1], "base64url"));
    if (list.sub !== uri) throw new Error("another status list");
    return job.statusList;
  },
});

try {
  if (job.type) TypeMetadataFormatSchema.parse(job.type);
  const options = { currentDate: job.now };
  if (job.nonce) options.keyBindingNonce = job.nonce;
  const found = await instance.verify(job.credential, options);
  if (found.payload.iss !== job.metadata.issuer) throw new Error("another issuer");
  if (job.audience && found.kb.payload.aud !== job.audience) throw new Error("another audience");
  console.log(JSON.stringify({ payload: found.payload, bound: Boolean(found.kb) }));
} catch (error) {
  console.log(JSON.stringify({ refused: String(error.message ?? error) }));
}
