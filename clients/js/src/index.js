/** Potstill: questions answered from texts, and texts labelled, in Node and in pages. */

export * from "./browser.js";
export { download } from "./hub.js";
