import { createInterface } from "node:readline";
import { EventEmitter } from "node:events";

interface EventStream extends NodeJS.ReadableStream {
  destroy?: () => void;
}

/** Waits for what the daemon says about a container, with one event stream however many wait. */
export class ContainerEvents {
  readonly #subscribe: (signal: AbortSignal) => Promise<NodeJS.ReadableStream>;
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  readonly #abort = new AbortController();
  #stream: Promise<void> | undefined;

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

  close(): void {
    this.#abort.abort();
  }

  async #listening(): Promise<void> {
    this.#stream ??= this.#open();
    await this.#stream;
  }

  async #open(): Promise<void> {
    try {
      const stream: EventStream = await this.#subscribe(this.#abort.signal);
      const ended = (): void => {
        // The next who waits subscribes again; those who wait now look once more.
        this.#stream = undefined;
        this.#emitter.emit("end");
      };
      stream.on("error", ended);
      createInterface({ input: stream })
        .on("line", (line) => {
          const id = idOf(line);
          if (id !== undefined) this.#emitter.emit(id);
        })
        .on("close", ended)
        .on("error", ended);
    } catch (error) {
      this.#stream = undefined;
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
