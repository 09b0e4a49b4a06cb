// Potstill in a page of headless Chromium, asked in lines of JSON:
// node page_worker.mjs MODEL CHROMIUM [OPTIONS]
//
// MODEL is a folder. OPTIONS and lines are as node_worker.mjs has them.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

import { serve } from "../examples/browser/serve.mjs";

const [model, executablePath, options = "{}"] = process.argv.slice(2);
const { chromium } = createRequire(new URL("../clients/js/", import.meta.url))("playwright-core");
const server = serve({ port: 0, model });
await new Promise((resolve) => server.on("listening", resolve));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForSelector("body[data-state=ready]", { timeout: 300_000 });
await page.evaluate(async (own) => {
  const { QAClient } = await import("potstill");
  globalThis.client = await QAClient.fromOptions({ model: "./model/", ...own });
}, JSON.parse(options));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const said = await page.evaluate(async ({ question, context, options }) => {
    const began = performance.now();
    const answer = await globalThis.client.predict(question, context, options);
    return { seconds: (performance.now() - began) / 1000, answer };
  }, JSON.parse(line));
  console.log(JSON.stringify(said));
}
await browser.close();
server.closeAllConnections();
server.close();
