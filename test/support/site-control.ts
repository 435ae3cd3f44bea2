import { docker } from "../../infra/rehearsal/docker.ts";
import { hostOf } from "../../infra/rehearsal/plan.ts";
import type { LiveWorld } from "./live-world.ts";

/** A grant as pg-health keeps it, as far as the tests change it. */
export interface GrantText {
  readonly systemId: string;
  readonly epoch: number;
  readonly timeline: number;
  readonly state: "none" | "held" | "suspended";
  readonly peers: readonly { readonly site: string }[];
  readonly excluded: readonly string[];
}

export interface SiteFacts {
  readonly data: { readonly kind: string; readonly timeline?: number };
  readonly grant: { readonly kind: string; readonly grant?: GrantText };
  readonly word: string;
}

interface End {
  readonly ok: boolean;
  readonly message: string;
  readonly value?: unknown;
}

/** Asks pg-health's control socket, from its own container, and prints the last line of the answer. */
const ASK = `
const [method, path, body] = process.argv.slice(1);
const request = require("node:http").request({ socketPath: "/run/pg-health/control.sock", method, path });
request.on("response", (response) => {
  let text = "";
  response.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => console.log(text.trim().split("\\n").at(-1)));
});
request.end(body);`;

/** Orders to one site's pg-health, as runbooks give them, without a runbook's checks. */
export class SiteControl {
  readonly #live: LiveWorld;

  constructor(live: LiveWorld) {
    this.#live = live;
  }

  async #ask(siteName: string, method: string, path: string, body: unknown): Promise<End> {
    const site = this.#live.topology.sites.find(({ name }) => name === siteName);
    if (site === undefined) throw new Error(`no site ${siteName}`);
    const inside = ["docker", "exec", site.pgHealth.container, "node", "-e", ASK, method, path];
    const line = await docker([
      ...["exec", hostOf(this.#live.plan, site.host.name).container],
      ...inside,
      body === undefined ? "" : JSON.stringify(body),
    ]);
    const { end } = JSON.parse(line) as { end: End };
    return end;
  }

  async facts(siteName: string): Promise<SiteFacts> {
    return (await this.#ask(siteName, "GET", "/facts", undefined)).value as SiteFacts;
  }

  async order(siteName: string, verb: "start" | "stop" | "restart" | "promote"): Promise<End> {
    return this.#ask(siteName, "POST", "/order", { verb });
  }

  /** Changes a site's grant, which must be there. */
  async grant(siteName: string, change: Partial<GrantText>): Promise<GrantText> {
    const { grant } = (await this.facts(siteName)).grant;
    if (grant === undefined) throw new Error(`${siteName} has no grant`);
    const wanted = { ...grant, ...change };
    const expect = { epoch: grant.epoch, state: grant.state };
    const end = await this.#ask(siteName, "POST", "/grant", { expect, grant: wanted });
    if (!end.ok) throw new Error(`the grant of ${siteName} was refused: ${end.message}`);
    return wanted;
  }

  /** The highest epoch that any of these sites has seen. */
  async highestEpoch(siteNames: readonly string[]): Promise<number> {
    const facts = await Promise.all(siteNames.map((name) => this.facts(name)));
    return Math.max(0, ...facts.map(({ grant }) => grant.grant?.epoch ?? 0));
  }

  /** Gives a standby the next grant and promotes it, without a look at anybody else. */
  async promote(siteName: string, epoch: number, excluded: readonly string[] = []): Promise<void> {
    const { timeline } = (await this.facts(siteName)).data;
    if (timeline === undefined) throw new Error(`${siteName} has no data`);
    await this.grant(siteName, { epoch, timeline, state: "held", excluded });
    const end = await this.order(siteName, "promote");
    if (!end.ok) throw new Error(`${siteName} was not promoted: ${end.message}`);
  }
}
