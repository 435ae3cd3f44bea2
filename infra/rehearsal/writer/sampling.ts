import type { Overlay } from "../../config/overlay.ts";
import type { StackConfig } from "../../config/schema.ts";
import { buildTopology } from "../../topology/model.ts";
import type { WorldPlan } from "../plan.ts";
import { hostOf } from "../plan.ts";
import { bundleProgram } from "./bundle.ts";
import type { Span } from "./figures.ts";
import { overlapsOf, spansOf } from "./figures.ts";
import { readBeside, startBeside, stopBeside } from "./program.ts";
import type { Sample } from "./records.ts";
import { parseLines } from "./records.ts";
import type { SamplerSettings } from "./sampler.ts";

const NAME = "heatwave-sampler";
const TABLE = "public.heatwave_sampler";

/** uid and gid of `postgres` in the image: the superuser's way in over the socket is its name. */
const POSTGRES_USER = "999:999";

/** What each instance said of itself, all the time. */
export interface Writability {
  readonly samples: number;
  /** When each instance took writes, in order of time. */
  readonly spans: readonly Span[];
  /** Pairs of instances that were writable at the same moment: none may ever be. */
  readonly overlaps: readonly (readonly [Span, Span])[];
}

/** Asks each site's instance for itself, over its unix socket, whether it takes a write. */
export class Sampling {
  readonly #plan: WorldPlan;
  readonly #stack: StackConfig;

  private constructor(plan: WorldPlan, stack: StackConfig) {
    this.#plan = plan;
    this.#stack = stack;
  }

  static async start(
    plan: WorldPlan,
    stack: StackConfig,
    overlay: Overlay,
    everyMs: number,
  ): Promise<Sampling> {
    const program = await bundleProgram("sampler");
    await Promise.all(
      buildTopology(stack).sites.map((site) => {
        const settings: SamplerSettings = {
          port: site.postgres.port,
          database: stack.postgres.databases[0]?.name ?? "postgres",
          table: TABLE,
          everyMs,
          timeoutMs: 1000,
        };
        return startBeside({
          host: hostOf(plan, site.host.name),
          name: `${NAME}-${site.name}`,
          image: overlay.images.node ?? stack.images.node,
          user: POSTGRES_USER,
          network: "none",
          at: "/sampler",
          mounts: [`${site.postgres.directory}/run:/run/heatwave`],
          files: { "program.mjs": program, "settings.json": JSON.stringify(settings) },
        });
      }),
    );
    return new Sampling(plan, stack);
  }

  /** What one site's instance said so far. */
  async samples(siteName: string): Promise<Sample[]> {
    const site = this.#stack.sites.find(({ name }) => name === siteName);
    if (site === undefined) throw new Error(`no site ${siteName}`);
    return parseLines(
      await readBeside(hostOf(this.#plan, site.host), `${NAME}-${siteName}`, "samples.ndjson"),
    );
  }

  async report(): Promise<Writability> {
    const all = await Promise.all(
      this.#stack.sites.map(async ({ name }) => ({ name, samples: await this.samples(name) })),
    );
    const spans = all
      .flatMap(({ name, samples }) => spansOf(name, samples))
      .toSorted((one, other) => one.from - other.from);
    const samples = all.reduce((sum, site) => sum + site.samples.length, 0);
    return { samples, spans, overlaps: overlapsOf(spans) };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#stack.sites.map(({ name, host }) => stopBeside(hostOf(this.#plan, host), `${NAME}-${name}`)),
    );
  }
}
