/** Where this runs. */

/** Whether this is Node rather than a browser; the package's file for browsers says false. */
export const IN_NODE = typeof process === "object" && Boolean(process.versions?.node);
