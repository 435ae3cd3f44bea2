import type { Topology } from "../../infra/topology/model.ts";
import type { Rehearsal } from "./rehearsal.ts";

const OVERLAY = "/etc/heatwave/overlay.json";

interface OverlayImages {
  images: Record<string, string>;
}

/** Changes of image references in a world, as an operator would make them in the stack file. */
export class WorldImages {
  readonly #world: Rehearsal;
  readonly #topology: Topology;
  readonly #next = new Map<string, string>();
  #kept: string | undefined;

  constructor(world: Rehearsal, topology: Topology) {
    this.#world = world;
    this.#topology = topology;
  }

  /**
   * Gives an image a second name on every host, and makes that the one that the stack asks for. To Docker and to both
   * providers another reference is another image.
   * @param key of `heatwave:images`
   */
  async retag(key: string, tag: string): Promise<void> {
    const text = await this.#world.controller(`cat ${OVERLAY}`);
    this.#kept ??= text;
    const overlay = JSON.parse(text) as OverlayImages;
    const old = overlay.images[key];
    if (old === undefined) throw new Error(`the overlay has no image ${key}: it needs a world of stand-ins`);
    const next = `${old.replace(/:[^:]*$/, "")}:${tag}`;
    for (const { name } of this.#topology.hosts) await this.#world.host(name, `docker tag ${old} ${next}`);
    overlay.images[key] = next;
    this.#next.set(key, next);
    await this.#write(JSON.stringify(overlay, null, 2));
  }

  /** The reference that `retag` made. */
  next(key: string): string {
    return this.#next.get(key) ?? "";
  }

  /** Every reference as it was before the first `retag`. */
  async restore(): Promise<void> {
    if (this.#kept !== undefined) await this.#write(this.#kept);
  }

  /** The PostgreSQL containers by site. */
  async containers(): Promise<ReadonlyMap<string, { readonly id: string; readonly image: string }>> {
    const each = this.#topology.sites.map(async ({ name, host, postgres }) => {
      const format = "{{.Id}} {{.Config.Image}}";
      const printed = await this.#world.host(
        host.name,
        `docker inspect --format '${format}' ${postgres.container}`,
      );
      const [id = "", image = ""] = printed.trim().split(" ");
      return [name, { id, image }] as const;
    });
    return new Map(await Promise.all(each));
  }

  /**
   * When a site's PostgreSQL container was away, by its host's Docker events: from its end until the next one began.
   * Seconds of the hosts' one clock.
   */
  async away(
    site: string,
    since: string,
  ): Promise<{ readonly site: string; readonly from: number; readonly to: number }> {
    const { host, postgres } = this.#topology.sites.find(({ name }) => name === site)!;
    const events = await this.#world.host(
      host.name,
      `docker events --since ${since} --until $(date +%s.%N) --filter container=${postgres.container} --filter event=die --filter event=start --format '{{.Action}} {{.TimeNano}}'`,
    );
    const at = (action: string): number =>
      Number(new RegExp(`^${action} (\\d+)$`, "m").exec(events)?.[1] ?? NaN) / 1e9;
    return { site, from: at("die"), to: at("start") };
  }

  async #write(text: string): Promise<void> {
    await this.#world.controller(`umask 077; cat >${OVERLAY}.new && mv ${OVERLAY}.new ${OVERLAY}`, text);
  }
}
