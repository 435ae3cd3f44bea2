import type { Raw } from "../arbitrary.ts";
import { anyHost, each, hostNames, set } from "./tools.ts";
import type { Made, Mistakes, Path } from "./tools.ts";

/** Mistakes in `tailnet`, `firewall`, `operators` and the hosts' devices. */

/** Credentials and a device for each host, then one mistake. */
function mistake(raw: Raw, path: Path, value: unknown): Made {
  for (const [i, name] of hostNames(raw).entries()) set(raw, ["hosts", name, "device"], `box-${i}`);
  set(raw, ["tailnet"], {});
  set(raw, ["secrets", "tailnetClientId"], "an id of the test's own");
  set(raw, ["secrets", "tailnetClientSecret"], "a secret of the test's own");
  return set(raw, path, value);
}

export const TAILNET: Mistakes = {
  ...each(
    "a device that is no name",
    ["Dal-01", "dal_01", "dal-01.", "100.64.0.1:22", "", "-a", 7],
    (raw, n) => [...anyHost(raw, n), "device"],
    { allowed: /a device's name/ },
  ),
  "one device for two hosts": {
    where: (raw) => hostNames(raw).length > 1,
    make: (raw) => {
      const [first, second] = hostNames(raw);
      return { ...mistake(raw, ["hosts", second!, "device"], "box-0"), fix: new RegExp(first!) };
    },
  },
  "a device without the API's credentials": {
    make: (raw, n) => {
      mistake(raw, [...anyHost(raw, n), "device"], "box-zz");
      Reflect.deleteProperty(raw.secrets, "tailnetClientSecret");
      return { path: ["secrets", "tailnetClientSecret"], fix: /pulumi config set --secret --path/ };
    },
  },
  "tags where no host has a device": {
    make: (raw) => {
      const made = mistake(raw, ["tailnet", "tags"], ["tag:database"]);
      for (const name of hostNames(raw)) Reflect.deleteProperty(raw.hosts[name]!, "device");
      return { ...made, shown: "a list (1)", fix: /device/ };
    },
  },
  "a tag without its prefix": {
    make: (raw) => {
      mistake(raw, ["tailnet", "tags"], ["database"]);
      return { path: ["tailnet", "tags", 0], value: "database", fix: /tag:database/ };
    },
  },
  "a join key without tags": {
    make: (raw) => ({
      ...mistake(raw, ["tailnet", "joinKeys"], ["new-01"]),
      shown: "a list (1)",
      allowed: /tags/,
    }),
  },
  "a join key twice": {
    make: (raw) => {
      mistake(raw, ["tailnet"], { tags: ["tag:database"], joinKeys: ["new-01", "new-01"] });
      return { path: ["tailnet", "joinKeys", 1], value: "new-01" };
    },
  },
  "a mistyped key of tailnet": {
    make: (raw) => ({
      ...mistake(raw, ["tailnet", "grant"], true),
      shown: "a boolean (not shown)",
      fix: /rename it to grants/,
    }),
  },
  ...each(
    "an operator outside the tailnet",
    ["10.0.0.1", "100.100.100.100", "fd7a::1", ""],
    () => ["operators", "anna-zz"],
    {
      allowed: /100\.64\.0\.0\/10/,
    },
  ),
  ...each("an interface that is none", ["tail scale", "eth0;", "a-name-of-16-char", 0], () => [
    "firewall",
    "interface",
  ]),
  ...each("a firewall that is neither on nor off", ["yes", 1], () => ["firewall", "enabled"], {
    allowed: /true or false/,
  }),
};
