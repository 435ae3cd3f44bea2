/**
 * Lets at most so many sessions run at once. sshd's MaxSessions (10 by default) refuses the rest, and a host may
 * allow fewer: `lower` takes that into account for all that follow.
 */
export class SessionGate {
  #limit: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Resolves when a session may begin; call the result exactly once when it has ended. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) this.#running += 1;
    else await this.#turn(signal);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#leave();
    };
  }

  /** The host refused a session while `running` others of ours ran: expect no more than that from now on. */
  lower(): void {
    this.#limit = Math.max(1, Math.min(this.#limit, this.#running - 1));
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1);
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(begin);
    });
  }

  #leave(): void {
    this.#running -= 1;
    while (this.#running < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      next();
    }
  }
}
