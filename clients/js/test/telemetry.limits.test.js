/** onnxruntime-node reports nothing home: no file appears in an empty home. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { FIXTURES } from "./helpers.js";

test("a question leaves no file of others in the home folder", () => {
  const home = mkdtempSync(join(tmpdir(), "potstill-home-"));
  const index = fileURLToPath(new URL("../src/index.js", import.meta.url));
  const program = `
    import { QAClient } from ${JSON.stringify(index)};
    const client = await QAClient.fromOptions({ model: ${JSON.stringify(`${FIXTURES}/bert`)}, seqLen: 64, stride: 16 });
    await client.predict("Who won?", "Denver won the game.");
    await new Promise((done) => setTimeout(done, 1000));
    console.log(process.env.ORT_DISABLE_TELEMETRY);
  `;
  try {
    const env = { PATH: process.env.PATH, HOME: home, USERPROFILE: home };
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { env });
    assert.equal(said.toString().trim(), "1");
    const files = readdirSync(home, { recursive: true }).map(String);
    assert.deepEqual(files.filter((name) => !name.includes("potstill")), []);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
