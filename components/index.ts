export { AdoptedStack, type AdoptedStackArgs } from "./adopted/adopted-stack.ts";
export { DockerHost, type DockerHostArgs } from "./docker-host/docker-host.ts";
export { HostFile, type HostFileArgs } from "./docker-host/host-file.ts";
export { Firewall, type FirewallArgs } from "./firewall/firewall.ts";
export {
  HaPostgres,
  routerOutputs,
  siteOutputs,
  type HaPostgresArgs,
  type RouterOutputs,
  type SiteOutputs,
} from "./ha-postgres/ha-postgres.ts";
export { HealthEndpoint, type HealthEndpointArgs } from "./pg-health/health-endpoint.ts";
export { PgBouncer, type PgBouncerArgs } from "./pgbouncer/pgbouncer.ts";
export { PostgresInstance, type PostgresInstanceArgs } from "./postgres/postgres-instance.ts";
export { Router, type RouterArgs } from "./router/router.ts";
export { Site, type SiteArgs } from "./site/site.ts";
export { Tailnet, type TailnetArgs } from "./tailnet/tailnet.ts";
