import { expect, test } from "vitest";
import type { DatabaseRoles } from "../../../infra/drift/roles.ts";
import { databaseDifferences, roleDifferences } from "../../../infra/drift/roles.ts";
import { judge } from "../../../infra/runbooks/judge.ts";
import { observation, primary, standby } from "../runbooks/observations.ts";

const DECLARED = {
  roles: [{ name: "app", connectionLimit: -1, memberOf: ["pg_monitor"] }],
  databases: [{ name: "app_production", owner: "app" }],
};
const own = ["postgres", "heatwave_replication", "heatwave_health"].map((name) => ({
  name,
  connectionLimit: -1,
  superuser: name === "postgres",
  memberOf: [],
}));
const app = { name: "app", connectionLimit: -1, superuser: false, memberOf: ["pg_monitor"] };
const AS_DECLARED: DatabaseRoles = {
  roles: [...own, app],
  databases: [
    { name: "postgres", owner: "postgres" },
    { name: "app_production", owner: "app" },
  ],
};
const found = (seen: Partial<DatabaseRoles>): readonly string[] =>
  databaseDifferences(DECLARED, { ...AS_DECLARED, ...seen }, "dal-01").map(
    ({ what, declared, seen: is }) => `${what}: ${declared} / ${is ?? ""}`,
  );

test("roles and databases as declared do not differ", () => {
  expect(found({})).toEqual([]);
});

test.for<[name: string, seen: Partial<DatabaseRoles>, difference: string]>([
  ["a role is missing", { roles: own }, "role app: may log in / does not exist, or may not"],
  ["its limit", { roles: [...own, { ...app, connectionLimit: 5 }] }, "role app: connection limit -1 / 5"],
  [
    "a membership is missing",
    { roles: [...own, { ...app, memberOf: [] }] },
    "role app: member of pg_monitor / is not",
  ],
  [
    "a membership too many",
    { roles: [...own, { ...app, memberOf: ["pg_monitor", "pg_read_all_data"] }] },
    "role app: no further membership / member of pg_read_all_data",
  ],
  ["a superuser", { roles: [...own, { ...app, superuser: true }] }, "role app: no superuser / is superuser"],
  [
    "a role that nobody declared",
    { roles: [...own, app, { ...app, name: "eve", superuser: true }] },
    "role eve: is not declared / may log in, as superuser",
  ],
  ["a database is missing", { databases: [] }, "database app_production: exists / does not"],
  [
    "another owner",
    { databases: [{ name: "app_production", owner: "eve" }] },
    "database app_production: owner app / eve",
  ],
  [
    "a database that nobody declared",
    { databases: [...AS_DECLARED.databases, { name: "scratch", owner: "app" }] },
    "database scratch: is not declared / exists",
  ],
])("%s", ([, seen, difference]) => {
  expect(found(seen)).toEqual([difference]);
});

test("a healthy pair is no drift; another primary than the declared one is", () => {
  const pair = [primary("dal-01", { streamingTo: ["chi-02"] }), standby("chi-02", { follows: "dal-01" })];
  const healthy = observation(pair);
  expect(roleDifferences(judge(healthy), healthy.declared, healthy.primaries)).toEqual([]);
  const flipped = observation([
    standby("dal-01", { follows: "chi-02" }),
    primary("chi-02", { streamingTo: ["dal-01"] }),
  ]);
  expect(roleDifferences(judge(flipped), flipped.declared, flipped.primaries)).toContainEqual(
    expect.objectContaining({ aspect: "role", declared: "primary dal-01", seen: "primary chi-02" }),
  );
});
