import type { Raw } from "../arbitrary.ts";
import { anySite, each, hostNames, pick, set } from "./tools.ts";
import type { Made, Mistakes, Path } from "./tools.ts";

/** Mistakes in `maintenance`. */

type Value = Record<string, unknown>;

/** Puts a whole section there, with nothing else wrong in it. */
function section(raw: Raw, keys: Value, blamed: Path, value: unknown): Made {
  set(raw, ["maintenance"], { app: "shop", hosts: [hostNames(raw)[0]], ...keys });
  return { path: ["maintenance", ...blamed], value };
}

export const MAINTENANCE: Mistakes = {
  "a maintenance without an app": {
    make: (raw) => {
      set(raw, ["maintenance"], { hosts: [hostNames(raw)[0]] });
      return { path: ["maintenance", "app"] };
    },
  },
  "a mistyped key of maintenance": {
    make: (raw) => ({
      ...section(raw, { rolls: ["web"] }, ["rolls"], ["web"]),
      shown: /^a list/,
      fix: /rename it to roles/,
    }),
  },
  "an app host that is not declared": {
    make: (raw) => section(raw, { hosts: ["extra-zz"] }, ["hosts", 0], "extra-zz"),
  },
  "no app host": {
    make: (raw) => ({ ...section(raw, { hosts: [] }, ["hosts"], []), shown: "an empty list" }),
  },
  "app hosts left out where there is no router": {
    where: (raw) => raw.routers.length === 0,
    make: (raw) => {
      set(raw, ["maintenance"], { app: "shop" });
      return { path: ["maintenance", "hosts"] };
    },
  },
  "no role to stop": {
    make: (raw) => ({ ...section(raw, { roles: [] }, ["roles"], []), shown: "an empty list" }),
  },
  "a container on a host that is not declared": {
    make: (raw) =>
      section(
        raw,
        { containers: [{ host: "extra-zz", name: "cron" }] },
        ["containers", 0, "host"],
        "extra-zz",
      ),
  },
  "PostgreSQL among the containers to stop": {
    make: (raw, n) => {
      const [, at] = anySite(raw, n);
      const site = raw.sites[at as number]!;
      const name = site.containers?.postgres ?? "heatwave-postgres";
      return {
        ...section(raw, { containers: [{ host: site.host, name }] }, ["containers", 0, "name"], name),
        allowed: /none of heatwave's own/,
      };
    },
  },
  "a router as the proxy": {
    where: (raw) => raw.routers.length > 0,
    make: (raw, n) => {
      const router = pick(raw.routers, n);
      const container = router.container ?? "heatwave-haproxy";
      return section(raw, { hosts: [router.host], proxy: { container } }, ["proxy", "container"], container);
    },
  },
  ...each("an app that Kamal would not take", ["Shop", "a b", ""], () => ["maintenance", "app"], {
    where: (raw) => raw.maintenance !== undefined,
  }),
  ...each("a time without its unit", [60, "60"], () => ["maintenance", "stopTimeout"], {
    where: (raw) => raw.maintenance !== undefined,
  }),
};
