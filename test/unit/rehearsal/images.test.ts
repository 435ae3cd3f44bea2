import { appendFileSync, chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mirrorOf, proxyOf } from "../../../infra/rehearsal/apt.ts";
import type { ImageName } from "../../../infra/rehearsal/recipes.ts";
import { planImage } from "../../../infra/rehearsal/recipes.ts";

const PROJECT = join(import.meta.dirname, "../../..");
const NAMES: readonly ImageName[] = [
  "base",
  "postgres",
  "pgbouncer",
  "haproxy",
  "node",
  "host",
  "controller",
  "registry",
];

describe("an image's reference", () => {
  let copy: string;
  const references = () => Object.fromEntries(NAMES.map((name) => [name, planImage(name, copy).reference]));
  const changed = (before: Record<string, string>) =>
    NAMES.filter((name) => references()[name] !== before[name]);

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), "heatwave-recipes-"));
    cpSync(join(PROJECT, "infra/rehearsal/images"), join(copy, "infra/rehearsal/images"), {
      recursive: true,
    });
    const node = join(copy, `node_modules/node-linux-${process.arch}`);
    mkdirSync(join(node, "bin"), { recursive: true });
    writeFileSync(join(node, "package.json"), '{"version":"24.0.0"}');
    writeFileSync(join(node, "bin/node"), "binary");
  });
  afterEach(() => rmSync(copy, { recursive: true }));

  test("changes with its own files only", () => {
    const before = references();
    appendFileSync(join(copy, "infra/rehearsal/images/postgres/Dockerfile"), "\n");
    expect(changed(before)).toEqual(["postgres"]);
  });

  test("changes with a file that two images share, in both", () => {
    const before = references();
    appendFileSync(join(copy, "infra/rehearsal/images/shared/heatwave-tailnet"), "\n");
    expect(changed(before)).toEqual(["host", "controller"]);
  });

  test("changes everywhere with the base", () => {
    const before = references();
    appendFileSync(join(copy, "infra/rehearsal/images/base/apt.conf"), "\n");
    expect(changed(before)).toEqual(NAMES);
  });

  test("changes with a file's right to run", () => {
    const before = references();
    chmodSync(join(copy, "infra/rehearsal/images/host/heatwave-host"), 0o644);
    expect(changed(before)).toEqual(["host"]);
  });

  test("changes with the version of Node", () => {
    const before = references();
    writeFileSync(join(copy, `node_modules/node-linux-${process.arch}/package.json`), '{"version":"24.0.1"}');
    expect(changed(before)).toEqual(["node"]);
  });

  test("is one that the overlay may name", () => {
    for (const reference of Object.values(references())) {
      expect(reference).toMatch(/^[a-z0-9]+([./_:@-][A-Za-z0-9]+)*$/);
    }
  });
});

describe("where packages come from", () => {
  test("is the archive of the machine's apt, not its security archive or another vendor", () => {
    const targets = [
      "Debian-Security|Packages|http://mirror.test/debian-security/",
      "Other|Packages|http://other.test/apt/",
      "Debian|DEP-11|http://dep11.test/debian/",
      "Debian|Packages|http://mirror.test/debian/",
    ];
    expect(mirrorOf(targets.join("\n"))).toBe("http://mirror.test/debian");
  });

  test("is Debian's own where there is no apt", () => {
    expect(mirrorOf("")).toMatch(/^http:\/\/deb\.debian\.org\/debian$/);
  });

  test("goes by apt's proxy", () => {
    const dump =
      'Acquire "";\nAcquire::http::Proxy "http://proxy.test:3142";\nAcquire::https::Proxy "DIRECT";\n';
    expect(proxyOf(dump)).toEqual({ http_proxy: "http://proxy.test:3142" });
  });
});
