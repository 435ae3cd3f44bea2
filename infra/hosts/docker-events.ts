import { createInterface } from "node:readline";
import { EventEmitter } from "node:events";

/** Waits for what the daemon says about a container, with one event stream however many wait. */
export class ContainerEvents {
  readonly #subscribe: (signal: AbortSignal) => Promise<NodeJS.ReadableStream>;
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  #abort = new AbortController();
  #stream: Promise<void> | undefined;
  #waiting = 0;

  constructor(subscribe: (signal: AbortSignal) => Promise<NodeJS.ReadableStream>) {
    this.#subscribe = subscribe;
  }

  /**
   * Calls `look` now and after each event of the container until it returns something other than undefined.
   * @throws what `look` throws; the signal's reason when it is aborted
   */
  async until<Result>(
    containerId: string,
    look: () => Promise<Result | undefined>,
    signal: AbortSignal,
  ): Promise<Result> {
    this.#waiting += 1;
    try {
      return await this.#until(containerId, look, signal);
    } finally {
      this.#waiting -= 1;
      // The subscription holds a connection that others can use.
      if (this.#waiting === 0) this.close();
    }
  }

  async #until<Result>(
    containerId: string,
    look: () => Promise<Result | undefined>,
    signal: AbortSignal,
  ): Promise<Result> {
    await this.#listening();
    let news = false;
    let wake: (() => void) | undefined;
    const hear = (): void => {
      news = true;
      wake?.();
    };
    this.#emitter.on(containerId, hear);
    this.#emitter.on("end", hear);
    signal.addEventListener("abort", hear);
    try {
      for (;;) {
        signal.throwIfAborted();
        news = false;
        const found = await look();
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          wake = resolve;
          // Something may have happened while we looked.
          if (news) resolve();
        });
        await this.#listening();
      }
    } finally {
      this.#emitter.off(containerId, hear);
      this.#emitter.off("end", hear);
      signal.removeEventListener("abort", hear);
    }
  }

  /** Ends the subscription; the next who waits begins another. */
  close(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#stream = undefined;
  }

  async #listening(): Promise<void> {
    this.#stream ??= this.#open();
    await this.#stream;
  }

  async #open(): Promise<void> {
    const abort = this.#abort;
    const ended = (): void => {
      if (this.#abort !== abort) return;
      // Those who wait now look once more and subscribe again.
      this.#stream = undefined;
      this.#emitter.emit("end");
    };
    try {
      const stream = await this.#subscribe(abort.signal);
      stream.on("error", ended);
      createInterface({ input: stream })
        .on("line", (line) => {
          const id = idOf(line);
          if (id !== undefined) this.#emitter.emit(id);
        })
        .on("close", ended)
        .on("error", ended);
    } catch (error) {
      if (this.#abort === abort) this.#stream = undefined;
      throw error;
    }
  }
}

function idOf(line: string): string | undefined {
  try {
    const event = JSON.parse(line) as { Actor?: { ID?: string }; id?: string };
    return event.Actor?.ID ?? event.id;
  } catch {
    return undefined;
  }
}
