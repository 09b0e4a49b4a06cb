/** A command line → words and flags. */

/** The command line was wrong. */
export class UsageError extends Error {}

/**
 * @param {string[]} args
 * @param {Record<string, boolean>} flags → whether a value follows
 * @returns {[string[], Record<string, string>]} what stands alone, and the flags' values
 */
export function parsed(args, flags) {
  /** @type {string[]} */
  const alone = [];
  /** @type {Record<string, string>} */
  const values = {};
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--") return [[...alone, ...args.slice(i + 1)], values];
    if (!args[i].startsWith("--")) {
      alone.push(args[i]);
      continue;
    }
    const [name, ...rest] = args[i].slice(2).split("=");
    if (!Object.hasOwn(flags, name)) throw new UsageError(`there is no option --${name}`);
    if (!flags[name] && rest.length) throw new UsageError(`--${name} takes no value`);
    if (!flags[name]) values[name] = "true";
    else if (rest.length) values[name] = rest.join("=");
    else if (i + 1 < args.length) values[name] = args[++i];
    else throw new UsageError(`--${name} needs a value`);
  }
  return [alone, values];
}

/** @param {Record<string, string>} values @param {string} name @param {number} [least] @returns {number | undefined} */
export function whole(values, name, least = 1) {
  if (values[name] === undefined) return undefined;
  const number = Number(values[name]);
  if (values[name].trim() && Number.isInteger(number) && number >= least) return number;
  throw new UsageError(`--${name} must be a whole number of at least ${least}, not '${values[name]}'`);
}
