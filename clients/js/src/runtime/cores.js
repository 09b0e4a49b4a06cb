/** Cores this process may use, in Node. */

/**
 * Siblings count once: two hyper-threads of one core share its arithmetic units. A container's
 * quota is respected.
 *
 * @returns {Promise<number>}
 */
export async function usableCores() {
  const [fs, os] = [await import("node:fs/promises"), await import("node:os")];
  const n = os.availableParallelism();
  /** @param {string} path */
  const read = (path) => fs.readFile(path, "ascii").then((text) => text.trim()).catch(() => "");
  const allowed = await read("/proc/self/status").then((text) => listed(text) ?? [...Array(n).keys()]);
  const siblings = await Promise.all(
    allowed.map((i) => read(`/sys/devices/system/cpu/cpu${i}/topology/thread_siblings_list`)),
  );
  const cores = new Set(siblings.map((list, i) => list || `${allowed[i]}`)).size;
  const [quota, period] = (await read("/sys/fs/cgroup/cpu.max")).split(" ").map(Number);
  const most = quota > 0 && period > 0 ? Math.ceil(quota / period) : Infinity;
  return Math.max(1, Math.min(n, cores, most));
}

/** @param {string} status what Linux says of the process @returns {number[] | undefined} */
function listed(status) {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  return list?.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
