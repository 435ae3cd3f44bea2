/**
 * When this site was last sure to be the rightful primary. Kept on disk while PostgreSQL runs as one, so that a killed
 * container or sidecar is back at once although a peer is silent; worth nothing on another boot of the host.
 */
import { rename, writeFile } from "node:fs/promises";
import type { Certainty } from "./decide.ts";
import { readJsonOr } from "./files.ts";

interface Kept extends Certainty {
  readonly boot: string;
}

/** Seconds between two writes. */
const KEEP_EVERY_SECONDS = 1;

export class CertaintyKeeper {
  readonly #path: string;
  #boot: string | undefined;
  #value: Certainty | undefined;
  #keptAt = Number.NEGATIVE_INFINITY;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes over what an earlier process of the same boot kept.
   * @param boot token of this boot of the host; without one nothing is taken over or kept
   */
  async load(boot: string | undefined): Promise<void> {
    this.#boot = boot;
    const kept = (await readJsonOr(this.#path)) as Partial<Kept> | null | undefined;
    if (boot === undefined || kept?.boot !== boot) return;
    if (typeof kept.at === "number" && typeof kept.epoch === "number")
      this.#value = { at: kept.at, epoch: kept.epoch };
  }

  get value(): Certainty | undefined {
    return this.#value;
  }

  /** The site is sure now. */
  renew(certainty: Certainty): void {
    this.#value = certainty;
  }

  /**
   * Writes it down, at most once a second. Not flushed: what a crash of the host loses is of an earlier boot anyway.
   */
  async keep(): Promise<void> {
    const value = this.#value;
    if (this.#boot === undefined || value === undefined || value.at - this.#keptAt < KEEP_EVERY_SECONDS)
      return;
    this.#keptAt = value.at;
    await writeFile(`${this.#path}.new`, JSON.stringify({ boot: this.#boot, ...value }), { mode: 0o600 });
    await rename(`${this.#path}.new`, this.#path);
  }
}
