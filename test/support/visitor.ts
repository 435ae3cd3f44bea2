import type { Rehearsal } from "./rehearsal.ts";

/** What somebody saw who asked for a page all the time. */
export interface Visit {
  /** Each status as it changed; 0: no answer. */
  readonly order: readonly number[];
  readonly requests: number;
  /** Milliseconds from the first to the last answer that was not 200. */
  readonly away: number;
}

const PROGRAM = `
const [url, stop] = process.argv.slice(2);
const { existsSync } = require("node:fs");
(async () => {
  const order = []; let requests = 0, first, last;
  while (!existsSync(stop)) {
    const status = await fetch(url, { signal: AbortSignal.timeout(5000) }).then(async (answer) => (await answer.text(), answer.status), () => 0);
    requests += 1;
    if (status !== 200) { first ??= performance.now(); last = performance.now(); }
    if (order.at(-1) !== status) order.push(status);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.log(JSON.stringify({ order, requests, away: Math.round((last ?? 0) - (first ?? 0)) }));
})();`;

let count = 0;

/** Asks for a page in the controller, every 20 ms, until it is stopped. */
export class Visitor {
  readonly #world: Rehearsal;
  readonly #file: string;

  private constructor(world: Rehearsal, file: string) {
    this.#world = world;
    this.#file = file;
  }

  static async start(world: Rehearsal, url: string): Promise<Visitor> {
    const file = `/tmp/visitor-${(count += 1)}`;
    await world.controller(
      `rm -f ${file}.*; cat >${file}.cjs; setsid node_modules/node-*/bin/node ${file}.cjs '${url}' ${file}.stop >${file}.out 2>&1 </dev/null &`,
      PROGRAM,
    );
    return new Visitor(world, file);
  }

  async stop(): Promise<Visit> {
    const out = await this.#world.controller(
      `touch ${this.#file}.stop; for i in $(seq 100); do [ -s ${this.#file}.out ] && break; sleep 0.1; done; cat ${this.#file}.out`,
    );
    return JSON.parse(out) as Visit;
  }
}
