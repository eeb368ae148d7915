// Says, a line of JSON for each base64 line on stdin, what Node's readers make of an env file.
const util = require("node:util");
const dotenv = require("dotenv");
const next = require("@next/env");
const { expand } = require("dotenv-expand");

// Next.js expands what its dotenv reads, into and out of process.env; hence an empty one.
function readByNext(text) {
  const saved = { ...process.env };
  for (const key of Object.keys(process.env)) delete process.env[key];
  next.processEnv([{ path: "env", contents: text, env: {} }], "/", { info() {}, error() {} }, true);
  const read = { ...process.env };
  delete read.__NEXT_PROCESSED_ENV;
  for (const key of Object.keys(process.env)) delete process.env[key];
  Object.assign(process.env, saved);
  return read;
}

require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const text = Buffer.from(line, "base64").toString("utf8");
  const readings = { dotenv: dotenv.parse(text), next: readByNext(text) };
  readings.expanded = expand({ parsed: dotenv.parse(text), processEnv: {} }).parsed;
  if (util.parseEnv) {
    readings.node = { ...util.parseEnv(text) };
    // Vite reads by Node's parser and expands: loadEnv in vite/src/node/env.ts.
    readings.vite = expand({ parsed: { ...util.parseEnv(text) }, processEnv: {} }).parsed;
  }
  process.stdout.write(JSON.stringify(readings) + "\n");
});
