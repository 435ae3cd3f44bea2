import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { markdownOf } from "../../infra/review/markdown.ts";
import { readPreview } from "../../infra/review/preview.ts";
import { review } from "../../infra/review/review.ts";
import type { Edit } from "../support/review-room.ts";
import { ReviewRoom } from "../support/review-room.ts";

vi.setConfig({ testTimeout: 180_000 });

const GOLDEN = join(import.meta.dirname, "..", "golden", "review");
const OTHER = "0123456789abcdef".repeat(4);
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3jxJe3mB55sqTsTL2UK89jDN3EKY9/mr/5qs9WSz8n";

/** Changes of production's stack file, and the verdict of each on the writes. */
const CHANGES: Readonly<Record<string, { readonly edits: readonly Edit[]; readonly writes: string }>> = {
  nothing: { edits: [], writes: "nothing" },
  "hba-rule": {
    edits: [
      [
        ["postgres", "hba"],
        [
          {
            type: "host",
            database: "heatwave_production",
            user: "heatwave",
            address: "100.64.7.7/32",
            method: "scram-sha-256",
          },
        ],
      ],
    ],
    writes: "nothing",
  },
  "haproxy-timeout": { edits: [[["haproxy", "timeouts", "client"], "6h"]], writes: "nothing" },
  "pooler-limit": { edits: [[["pgbouncer", "defaultPoolSize"], 120]], writes: "nothing" },
  "parameter-reloaded": { edits: [[["postgres", "parameters", "work_mem"], "16MB"]], writes: "nothing" },
  "parameter-at-restart": {
    edits: [[["postgres", "parameters", "max_connections"], 300]],
    writes: "nothing",
  },
  "new-password": {
    edits: [[["secrets", "roles", "heatwave"], { secure: "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA" }]],
    writes: "nothing",
  },
  "postgres-image-at-standby": {
    edits: [[["sites", 1, "images"], { postgres: `postgres:18.5-bookworm@sha256:${OTHER}` }]],
    writes: "nothing",
  },
  "postgres-image": {
    edits: [[["images", "postgres"], `postgres:18.5-bookworm@sha256:${OTHER}`]],
    writes: "refused",
  },
  "pgbouncer-image": {
    edits: [[["images", "pgbouncer"], `edoburu/pgbouncer:v1.25.3-p0@sha256:${OTHER}`]],
    writes: "interrupted",
  },
  "node-image": { edits: [[["images", "node"], `node:24-bookworm-slim@sha256:${OTHER}`]], writes: "nothing" },
  "haproxy-image": {
    edits: [[["images", "haproxy"], `haproxy:3.0-alpine@sha256:${OTHER}`]],
    writes: "interrupted",
  },
  flip: { edits: [[["primary"], "chi-02"]], writes: "flip" },
  "new-app-host": {
    edits: [
      [["hosts", "app-01"], { address: "100.101.20.21", ssh: { user: "deploy", hostKey: HOST_KEY } }],
      [["routers", 1], { host: "app-01" }],
    ],
    writes: "nothing",
  },
  "new-site": {
    edits: [
      [["hosts", "fra-03"], { address: "100.101.20.21", ssh: { user: "deploy", hostKey: HOST_KEY } }],
      [["sites", 2], { name: "fra-03", host: "fra-03" }],
    ],
    writes: "nothing",
  },
};

describe("the review of production with a changed stack file", () => {
  const room = new ReviewRoom("production");
  afterAll(() => room[Symbol.dispose]());

  test.for(Object.entries(CHANGES))("%s", async ([name, { edits, writes }]) => {
    const preview = readPreview(await room.preview(edits), name);
    const made = review(preview, { kind: "desired", base: "main" }, "production");
    await expect(markdownOf(made)).toMatchFileSnapshot(join(GOLDEN, `${name}.md`));
    expect(made.writes).toBe(writes);
    expect(made.isComplete).toBe(true);
  });
});
