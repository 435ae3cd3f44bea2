import type { Secrets } from "../../../infra/config/schema.ts";
import { HEALTH_ROLE } from "../../postgres/render/roles.ts";
import { scramVerifier } from "../../postgres/render/scram.ts";

/** `userlist.txt`: the verifiers that PostgreSQL holds too, so that PgBouncer can pass a SCRAM login through. A secret. */
export function renderUserlist(secrets: Secrets): string {
  const users: readonly (readonly [string, string])[] = [
    [HEALTH_ROLE, secrets.healthPassword],
    ...Object.entries(secrets.roles),
  ];
  return users
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([role, password]) => `"${role}" "${scramVerifier(role, password)}"\n`)
    .join("");
}
