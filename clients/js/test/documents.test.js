import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { readDocuments, textOf } from "../src/documents/files.js";
import { htmlText } from "../src/documents/html.js";
import { folder } from "./helpers.js";

test("files of folders are read in order, and what is not is named with a reason", async (t) => {
  const home = await folder(t);
  const write = async (name, bytes) => {
    await mkdir(join(home, name, ".."), { recursive: true });
    await writeFile(join(home, name), bytes);
  };
  await write("b.txt", "Second.\r\nfile");
  await write("a.md", "# First\n\nfile");
  await write("inside/page.html", "<title>x</title><p>Third &amp; last");
  await write("inside/wide.txt", Buffer.from("\ufeffwide", "utf16le"));
  await write(".hidden/x.txt", "no");
  await write(".hidden.txt", "no");
  await write("node_modules/x.txt", "no");
  await write("report.PDF", "%PDF-1.7");
  await write("renamed.txt", "%PDF-1.7 \0");
  await write("sheet.xlsx", "PK");
  await write("empty.txt", " \n");
  await write("hollow.html", "<script>x</script>");
  await write("binary", Buffer.from([1, 0, 2]));
  await write("latin.txt", Buffer.from("caf\xe9", "latin1"));
  await write("photo.jpg", "x");
  await symlink(join(home, "inside"), join(home, "link"));
  await symlink(join(home, "nowhere"), join(home, "lost"));
  const { found, skipped } = await readDocuments([home, join(home, "gone"), "https://x.y/z", join(home, ".hidden.txt")]);
  const short = (name) => name.replace(`${home}/`, "");
  assert.deepEqual(found.map(({ name, text, lines }) => [short(name), text, lines]), [
    ["a.md", "# First\n\nfile", true],
    ["b.txt", "Second.\r\nfile", true],
    ["inside/page.html", "Third & last", false],
    ["inside/wide.txt", "wide", true],
    [".hidden.txt", "no", true],
  ]);
  assert.deepEqual(Object.fromEntries(skipped.map(({ name, reason }) => [short(name), reason])), {
    binary: "it is not text",
    "empty.txt": "it is empty",
    gone: "it does not exist",
    "hollow.html": "it holds no text",
    "https://x.y/z": "addresses are not fetched: download it",
    "latin.txt": "it is not UTF-8: convert it, for example with iconv",
    link: "it is a link to a folder: name that itself",
    lost: "it is a link that leads nowhere",
    "photo.jpg": "it is a picture",
    "renamed.txt": "a PDF is not read here: `potstill ask` of the Python package reads it",
    "report.PDF": ".pdf is not read here: `potstill ask` of the Python package reads it",
    "sheet.xlsx": ".xlsx is not read here: `potstill ask` of the Python package reads it",
  });
});

test("a page names its encoding", () => {
  const page = Buffer.from('<meta charset="windows-1252"><p>caf\xe9', "latin1");
  assert.deepEqual(textOf(page, "html"), { text: "café", lines: false });
  assert.deepEqual(textOf(Buffer.from("  <!DOCTYPE html><p>x</p>")), { text: "x", lines: false });
  assert.match(textOf(Buffer.from('<meta charset="none"><p>\xe9', "latin1"), "html").reason, /UTF-8/);
});

const PAGES = [
  ["<p>One\n  two<p>three", "One two\n\nthree"],
  ["<div>a<b>b</b> c<br>d</div>e", "ab c\nd\n\ne"],
  ["<ul><li>one<li>two</ul>", "- one\n\n- two"],
  ["<h1>Head</h1>text<!-- <p>no --> more", "Head\n\ntext more"],
  ["<script>if (a < b) '<p>'</script>x<style>p{}</style><nav>n <nav>m</nav> o</nav>y", "xy"],
  ['<p hidden>no</p><p style="color:red; display: none">no</p><p data-hidden title="hidden">yes</p>', "yes"],
  ["<pre>a\n  b\n</pre>", "a\n  b"],
  ['<a title="a > b">c</a> &lt;d&gt; &eacute;&#233;&#xE9; &unknown; &#0; AT&T', "c <d> ééé &unknown; \ufffd AT&T"],
  ["<table><tr><th>Name<th>Age<tr><td>Ann<td>9<tr><td>Bob<td></table>z", "Name: Ann |\tAge: 9\nName: Bob\n\nz"],
  ["<table><tr><td>a<td><p>b</p><p>c</p></tr></table>", "a |\tb c"],
  ["<table><tr><td>x<table><tr><td>y</table></table>", "x\n\ny"],
  ["a < b and <3", "a < b and <3"],
  ['<a href="x>broken', "broken"],
  ["<p>tail <", "tail <"],
  ["<!-- open", ""],
  ["<nav>never closed <p>kept", "never closed\n\nkept"],
  ["<textarea>\n  as <b>it</b> is</textarea>", "as <b>it</b> is"],
  ['<img alt="A river"> runs', "A river runs"],
];

for (const [page, text] of PAGES) {
  test(`the text of ${JSON.stringify(page)}`, () => assert.equal(htmlText(page), text));
}

test("a page that closes nothing is read in one pass", () => {
  const before = performance.now();
  htmlText("<div><td><p>x ".repeat(20_000));
  htmlText("<".repeat(200_000));
  htmlText('<a href="'.repeat(2_000));
  htmlText(`${"<nav>x".repeat(20_000)}</nav>`);
  assert.ok(performance.now() - before < 5000);
});
