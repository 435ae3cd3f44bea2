import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadStackFile } from "../../../infra/config/load.ts";
import { explain, seconds } from "../../../infra/cli/rehearse/terminal.ts";
import { parseIdentity } from "../../../infra/rehearsal/identity.ts";
import { planWorld } from "../../../infra/rehearsal/plan.ts";
import { passwordLine, siteClient, writePath } from "../../../infra/rehearsal/sql.ts";
import { RehearsalError, tail } from "../../../infra/rehearsal/trouble.ts";
import { changeCheckInterval } from "../../../infra/rehearsal/variation.ts";
import { stackSpec } from "../../../infra/rehearsal/world.ts";

const PROJECT = join(import.meta.dirname, "../../..");
const stack = loadStackFile(PROJECT, "production");

describe("the change that the story previews", () => {
  const text = readFileSync(join(PROJECT, "Pulumi.production.yaml"), "utf8");

  test("is one value; everything else of the file is as it was", () => {
    const { text: changed, change } = changeCheckInterval(text);
    const before = parse(text) as { config: Record<string, { check: { inter: string } }> };
    const after = parse(changed) as typeof before;
    expect(after.config["heatwave:haproxy"]?.check.inter).toBe(change.after);
    expect(change.after).not.toBe(change.before);
    after.config["heatwave:haproxy"]!.check.inter = before.config["heatwave:haproxy"]!.check.inter;
    expect(after).toEqual(before);
  });

  test("changes back what it changed", () => {
    const once = changeCheckInterval(text);
    expect(changeCheckInterval(once.text).change).toMatchObject({ before: once.change.after });
  });

  test("works where the file does not name the value", () => {
    expect(changeCheckInterval("config:\n  heatwave:primary: a\n").change.before).toBe("(default)");
  });
});

describe("the application's way in", () => {
  test("is the first router's write listener, as the database's owner", () => {
    expect(writePath(stack)).toEqual({
      routerHost: "dal-01",
      routerContainer: "heatwave-haproxy",
      port: 6433,
      role: "heatwave",
      database: "heatwave_production",
    });
  });

  test("is an error that names what is missing", () => {
    expect(() => writePath({ ...stack, routers: [] })).toThrow(RehearsalError);
  });

  test("takes its password from a file that psql reads back, whatever the password holds", () => {
    expect(passwordLine("app", String.raw`a:b\c'"% $`)).toBe(String.raw`*:*:*:app:a\:b\\c'"% $` + "\n");
  });

  test("at a site is the socket of that site's own container", () => {
    const plan = planWorld("production", stackSpec(stack), 1);
    const client = siteClient(plan, stack, "chi-02", ["-c", "select 1"], false);
    expect(client.container).toBe("heatwave-production-chi-02");
    expect(client.command).toContain("heatwave-postgres-replica");
    expect(client.command.slice(-2)).toEqual(["-c", "select 1"]);
    expect(() => siteClient(plan, stack, "nowhere", [], false)).toThrow(/no site "nowhere"/);
  });
});

describe("an identity", () => {
  test("is read back from what the world prints", () => {
    const line = (name: string, text: string) => `${name}\t${Buffer.from(text).toString("base64")}`;
    const identity = parseIdentity(
      [
        line("id", "abc"),
        line("operator.pub", "ssh-ed25519 OP operator@world\n"),
        line("host_key/dal-01", "-----BEGIN\nx\n"),
        line("host_key.pub/dal-01", "ssh-ed25519 KEY dal-01\n"),
      ].join("\n"),
    );
    expect(identity).toEqual({
      id: "abc",
      operatorPublicKey: "ssh-ed25519 OP operator@world\n",
      hostPublicKeys: { "dal-01": "ssh-ed25519 KEY" },
      hostPrivateKeys: { "dal-01": "-----BEGIN\nx\n" },
      overlay: undefined,
      checkout: {},
    });
  });
});

describe("what a reader sees", () => {
  test("an error says what, why and what next", () => {
    const text = explain(new RehearsalError("It broke", "first\nsecond", "bin/rehearse"));
    expect(text).toMatch(/error:.* It broke\n.*why.* first\n\s+second\n.*next.* bin\/rehearse$/s);
  });

  test("times have a unit", () => {
    expect([seconds(40), seconds(12_345), seconds(185_000)]).toEqual(["0.0 s", "12.3 s", "3 min 5 s"]);
  });

  test("long output is cut to its end", () => {
    expect(tail("a\nb\nc\n", 2)).toBe("b\nc");
  });
});
