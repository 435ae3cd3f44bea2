import * as pulumi from "@pulumi/pulumi";
import type { HostHold } from "../../infra/hosts/operation-hold.ts";
import { holdHost } from "../../infra/hosts/operation-hold.ts";
import type { Router, Topology } from "../../infra/topology/model.ts";

/** What every router of this package is started with. */
const START_SCRIPT = "/start.sh";

/** Seconds until the successor must serve; the host's tool waits 60 s itself. */
const SUCCESSOR_SECONDS = 90;

/**
 * Has a second router serve while `up` makes one anew, from before the old one goes until the new one answers. Resource hooks
 * call it right before a router's container is deleted and right after it was made; a preview does nothing of it.
 */
export class RouterStandIn {
  /** For the routers' containers, those that were found among them. */
  readonly container: pulumi.ResourceHookBinding;
  readonly #topology: Topology;
  readonly #routers = new Map<string, Router>();
  /** Containers whose registration is not over, by logical name. */
  readonly #pending = new Set<string>();
  readonly #standing = new Map<string, HostHold>();

  /** @param name unique in the program: hooks are found by it */
  constructor(name: string, topology: Topology) {
    this.#topology = topology;
    this.container = {
      beforeDelete: [
        new pulumi.ResourceHook(`${name}-before-router-container-delete`, (args) => this.#begin(args)),
      ],
      afterCreate: [
        new pulumi.ResourceHook(`${name}-after-router-container-create`, (args) => this.#end(args.name)),
      ],
    };
  }

  /** Says whose container this logical name is. Before it is declared: hooks are called by name. */
  belongs(router: Router, name: string): void {
    this.#routers.set(name, router);
    this.#pending.add(name);
  }

  /** Its container is declared: once that is over, a deletion is no replacement. */
  follow(name: string, container: pulumi.Resource): void {
    container.urn.apply(() => this.#pending.delete(name));
  }

  /** @throws Error while a runbook holds the host: it works with the router that would go. */
  async #begin({ name, oldInputs }: pulumi.ResourceHookArgs): Promise<void> {
    const router = this.#routers.get(name);
    // Registered and then deleted: not a replacement, the whole stack goes (`destroy --run-program`).
    if (router === undefined || !this.#pending.has(name)) return;
    // The only site's PostgreSQL is stopped while it is converted: a stand-in could send nobody anywhere, and takes time.
    if (this.#topology.sites.length === 1 && wasFound(oldInputs)) return;
    const { host, container, image } = router;
    const hold = await holdHost(host, {
      verb: `stand-in ${container} ${image} ${this.#topology.network.name}`,
      releaseSeconds: SUCCESSOR_SECONDS,
    });
    this.#standing.set(name, hold);
    if (hold.said.startsWith("cannot"))
      await pulumi.log.warn(
        `${container} on ${host.name} is made anew without anybody who stands in for it: connections are refused meanwhile. ${hold.said}`,
      );
  }

  async #end(name: string): Promise<void> {
    const hold = this.#standing.get(name);
    if (hold === undefined) return;
    this.#standing.delete(name);
    const said = await hold.release();
    if (said !== "") await pulumi.log.warn(said);
  }
}

/** Whether a container was made by others than this package. */
function wasFound(inputs: { readonly entrypoints?: unknown } | undefined): boolean {
  return !JSON.stringify(inputs?.entrypoints ?? []).includes(START_SCRIPT);
}
