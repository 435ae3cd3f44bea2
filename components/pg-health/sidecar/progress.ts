/** Progress of a copy, as pg_basebackup and pg_rewind print it. Pure. */

export interface Progress {
  readonly bytes: number;
  /** `12.0 MiB of 48.0 MiB (25 %)`. */
  readonly text: string;
}

/** The last line of progress in a log; undefined where there is none. */
export function progressOf(log: string): Progress | undefined {
  const [, done, total] = [...log.matchAll(/^ *(\d+)\/(\d+) kB /gm)].at(-1) ?? [];
  if (done === undefined || total === undefined) return undefined;
  const [bytes, all] = [Number(done) * 1024, Number(total) * 1024];
  // The total is an estimate that is made before the copy.
  const percent = all === 0 ? 100 : Math.min(100, Math.floor((bytes / all) * 100));
  return { bytes, text: `${mebibytes(bytes)} of ${mebibytes(Math.max(all, bytes))} (${percent} %)` };
}

/** `12.0 MiB in 3.0 s, 4.0 MiB/s`. */
export function rateText(bytes: number, ms: number): string {
  const seconds = Math.max(ms, 1) / 1000;
  return `${mebibytes(bytes)} in ${seconds.toFixed(1)} s, ${mebibytes(bytes / seconds)}/s`;
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
