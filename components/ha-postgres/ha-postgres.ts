import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../../infra/config/schema.ts";
import type { Host, Topology } from "../../infra/topology/model.ts";
import type { AdoptedIds } from "../../infra/topology/places.ts";
import { isAdopted, lists } from "../../infra/topology/places.ts";
import { adoptRouter, adoptSite } from "../adopted/adopted-parts.ts";
import { createPreparation } from "../conversion/conversion.ts";
import { DockerHost } from "../docker-host/docker-host.ts";
import { Firewall } from "../firewall/firewall.ts";
import { ReplacementGuard } from "../postgres/replacement-guard.ts";
import { Router } from "../router/router.ts";
import { RouterStandIn } from "../router/stand-in.ts";
import { instanceName, RetiredSite, siteName } from "../site/retired-site.ts";
import type { SiteArgs } from "../site/site.ts";
import { Site } from "../site/site.ts";

export interface HaPostgresArgs {
  readonly topology: Topology;
  readonly config: StackConfig;
  /**
   * What of it still runs as it was found, by host and container.
   * @default nothing
   */
  readonly adopted?: AdoptedIds | undefined;
  /**
   * What must have passed before anything of the stack is touched.
   * @default nothing
   */
  readonly after?: readonly pulumi.Resource[];
}

/** Where an application reaches the cluster from one app host. */
export interface RouterOutputs {
  /** App host. */
  readonly host: string;
  /** By listener: `container:port` for containers on the same Docker network. */
  readonly endpoints: Readonly<Record<string, string>>;
  /** Stats page; `/metrics` and `/;csv` are beside it. */
  readonly statsUrl: string;
}

export interface SiteOutputs {
  readonly host: string;
  readonly address: string;
  readonly healthUrl: string;
}

/** Where applications reach the stack, router by router. */
export function routerOutputs(topology: Topology): readonly RouterOutputs[] {
  return topology.routers.map((router) => ({
    host: router.name,
    endpoints: Object.fromEntries(
      topology.listeners.map(({ name: listener, port }) => [listener, `${router.container}:${port}`]),
    ),
    statsUrl: `http://${router.host.address}:${router.statsPort}/`,
  }));
}

/** By site's name. */
export function siteOutputs(topology: Topology): Readonly<Record<string, SiteOutputs>> {
  return Object.fromEntries(
    topology.sites.map((site) => [
      site.name,
      {
        host: site.host.name,
        address: site.host.address,
        healthUrl: `http://${site.host.address}:${site.pgHealth.port}/`,
      },
    ]),
  );
}

/** A whole stack: hosts, sites and routers of one PostgreSQL cluster. */
export class HaPostgres extends pulumi.ComponentResource {
  readonly routers: readonly RouterOutputs[];
  readonly sites: Readonly<Record<string, SiteOutputs>>;
  /** The cluster's system identifier, known once it is founded. */
  readonly systemIdentifier: pulumi.Output<string>;

  constructor(name: string, args: HaPostgresArgs, opts?: pulumi.ComponentResourceOptions) {
    // Nothing that a switchover changes: the primary is an input of the program's switchover command alone.
    super("heatwave:ha-postgres:HaPostgres", name, {}, opts);
    const { topology, after = [] } = args;
    const hosts = new Map(topology.hosts.map((host) => [host.name, this.createHost(host, topology, after)]));
    this.createFirewalls(args, hosts);
    const guard = new ReplacementGuard(name, topology);
    const preparations = this.adoptSites(args, hosts);
    const { systemIdentifier, converted } = this.createSites(args, hosts, guard, preparations);
    this.systemIdentifier = systemIdentifier;
    // The only site's writes are down from its conversion on: the routers are made anew beside PostgreSQL, and take it up when
    // it serves (start.sh). Of several sites the primary is not touched when they are.
    this.createRouters(args, hosts, { guard, standIn: new RouterStandIn(name, topology) }, [
      ...preparations,
      ...(topology.sites.length === 1 ? converted : []),
    ]);
    for (const site of topology.retired) {
      guard.retires(site, instanceName(site));
      new RetiredSite(siteName(site), { site, dockerHost: hostOf(hosts, site.host) }, { parent: this });
    }
    this.routers = routerOutputs(topology);
    this.sites = siteOutputs(topology);
    this.registerOutputs({ systemIdentifier: this.systemIdentifier });
  }

  private createHost(host: Host, topology: Topology, after: readonly pulumi.Resource[]): DockerHost {
    return new DockerHost(host.name, { host, network: topology.network, after }, { parent: this });
  }

  private createFirewalls(
    { topology, config }: HaPostgresArgs,
    hosts: ReadonlyMap<string, DockerHost>,
  ): void {
    if (config.firewall.enabled !== true) return;
    for (const dockerHost of hosts.values()) {
      new Firewall(
        `${dockerHost.host.name}-firewall`,
        { topology, dockerHost, interface: config.firewall.interface },
        { parent: this },
      );
    }
  }

  private createSites(
    args: HaPostgresArgs,
    hosts: ReadonlyMap<string, DockerHost>,
    guard: ReplacementGuard,
    preparations: readonly pulumi.Resource[],
  ): { readonly systemIdentifier: pulumi.Output<string>; readonly converted: readonly pulumi.Resource[] } {
    const { topology, config } = args;
    const made = topology.sites.filter((site) => !isAdopted(site, args.adopted));
    const declared = made.map((site) => {
      const siteArgs: SiteArgs = {
        topology,
        site,
        dockerHost: hostOf(hosts, site.host),
        config,
        secrets: config.secrets,
        guard,
        preparations,
      };
      return {
        name: site.name,
        siteArgs,
        component: new Site(siteName(site), siteArgs, { parent: this }),
      };
    });
    const components = declared.map(({ component }) => component);
    const founded = declared.map(({ name, siteArgs, component }) =>
      component.found(name, siteArgs, components),
    );
    const first = founded[0];
    if (first === undefined) throw new pulumi.ResourceError("a stack needs at least one site", this);
    return {
      systemIdentifier: first.founding.stdout.apply(
        (stdout) => /system identifier (\d+)/.exec(stdout)?.[1] ?? "",
      ),
      converted: components.flatMap(({ instance }) => instance.converted),
    };
  }

  /** @returns what a site that is converted beside them waits for */
  private adoptSites(
    { topology, config, adopted }: HaPostgresArgs,
    hosts: ReadonlyMap<string, DockerHost>,
  ): readonly pulumi.Resource[] {
    if (adopted === undefined) return [];
    return topology.sites
      .filter((site) => isAdopted(site, adopted))
      .map((site) => {
        const dockerHost = hostOf(hosts, site.host);
        adoptSite(site, { adopted, provider: dockerHost.provider }, this);
        const { postgres, secrets } = config;
        const routed = topology.routers.every((router) => !lists(adopted, router));
        return createPreparation(
          `${site.name}-preparation`,
          { topology, site, dockerHost, postgres, secrets, routed },
          { parent: this, dependsOn: [...dockerHost.ready] },
        );
      });
  }

  private createRouters(
    { topology, config, adopted }: HaPostgresArgs,
    hosts: ReadonlyMap<string, DockerHost>,
    { guard, standIn }: { readonly guard: ReplacementGuard; readonly standIn: RouterStandIn },
    after: readonly pulumi.Resource[],
  ): void {
    for (const router of topology.routers) {
      const dockerHost = hostOf(hosts, router.host);
      if (adopted !== undefined && lists(adopted, router)) {
        adoptRouter(router, { adopted, provider: dockerHost.provider }, standIn, this);
        continue;
      }
      const name = `${router.name}-haproxy`;
      const { container } = new Router(
        name,
        { topology, router, dockerHost, haproxy: config.haproxy, standIn, after },
        { parent: this },
      );
      guard.follow(name, container);
    }
  }
}

function hostOf(hosts: ReadonlyMap<string, DockerHost>, host: Host): DockerHost {
  const found = hosts.get(host.name);
  if (found === undefined) throw new Error(`no host ${host.name} in the topology`);
  return found;
}
