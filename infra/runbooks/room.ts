import { bytesText } from "./words.ts";

/** Below this a site's disk counts as full, bytes: eight segments of WAL. */
export const LEAST_FREE_BYTES = 128 * 1024 ** 2;

/** What is wrong with the room where a site's data lies; undefined when there is enough, or nobody knows. */
export function fullDisk(site: { readonly freeBytes: number | null }): string | undefined {
  return site.freeBytes === null || site.freeBytes >= LEAST_FREE_BYTES
    ? undefined
    : `${bytesText(site.freeBytes)} free where its data lies; needed: ${bytesText(LEAST_FREE_BYTES)}`;
}
