import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parse } from "jsonc-parser";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TailnetApi } from "../../../infra/tailnet/api.ts";
import { ensureGrants } from "../../../infra/tailnet/ensure-grants.ts";
import { grantsText, stackGrants } from "../../../infra/tailnet/grants.ts";
import { withGrants } from "../../../infra/tailnet/policy-file.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { CREDENTIALS, TailscaleApi } from "../../support/tailscale-api.ts";
import { production, project, threeSites } from "../../support/topologies.ts";

const POLICY = `// Ours since 2023. {"grants": no}
{
\t"groups": {"group:dev": ["a@example.com"],}, /* "]" */
\t"grants": [
\t\t// Everybody to the wiki.
\t\t{"src": ["*"], "dst": ["tag:wiki"], "ip": ["tcp:443"]}, // until 2027
\t],
\t"tests": [],
}
`;
const LINES = ['{"src":["100.64.0.1"],"dst":["100.64.0.2"],"ip":["tcp:5432"]},'];
const OURS = JSON.parse(LINES[0]!.slice(0, -1)) as unknown;
const grantsOf = (policy: string) => (parse(policy) as { grants: unknown[] }).grants;

describe("the stack's grants", () => {
  it("are one list for each host, of exactly its ports", () => {
    const config = { ...production(), operators: { anna: "100.90.1.1" } };
    expect(stackGrants(buildTopology(config))).toEqual([
      {
        src: ["100.123.47.52", "100.90.1.1"],
        dst: ["100.68.157.49"],
        ip: ["tcp:5432", "tcp:6432", "tcp:8008"],
      },
      { src: ["100.90.1.1"], dst: ["100.68.157.49"], ip: ["tcp:22"] },
      {
        src: ["100.68.157.49", "100.90.1.1"],
        dst: ["100.123.47.52"],
        ip: ["tcp:5432", "tcp:6432", "tcp:6433", "tcp:8008", "tcp:8404"],
      },
      { src: ["100.90.1.1"], dst: ["100.123.47.52"], ip: ["tcp:22"] },
    ]);
  });

  it("are the golden text", async () => {
    const config = { ...threeSites(), operators: { anna: "100.90.1.1", ci: "100.90.1.2" } };
    await expect(grantsText(stackGrants(buildTopology(config)))).toMatchFileSnapshot(
      "../../golden/tailnet/three-sites.grants",
    );
  });
});

describe("a block in the policy file", () => {
  it.each([
    ["with comments and a trailing comma", POLICY],
    ["without a trailing comma", POLICY.replace("]}, // until", "]} // until")],
    ["with an empty list", '{"grants": []}'],
    ["with a comment alone in the list", '{"grants": [\n\t// none yet\n]}'],
    ["without grants", '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}], // old\n}\n'],
    ["of nothing", "{}"],
  ])("is put in and taken out of a file %s", (_, policy) => {
    const merged = withGrants(policy, "production", LINES);
    const { grants, ...others } = parse(merged) as { grants: unknown[] };
    const { grants: before = [], ...rest } = parse(policy) as { grants?: unknown[] };
    expect(grants).toEqual([...before, OURS]);
    expect(others).toEqual(rest);
    // Every comment is still there.
    for (const [comment] of policy.matchAll(/\/\/.*|\/\*.*?\*\//g)) expect(merged).toContain(comment);
    expect(withGrants(merged, "production", LINES)).toBe(merged);
    const out = withGrants(merged, "production", []);
    expect((parse(out) as { grants?: unknown[] }).grants ?? []).toEqual(before);
    expect(out).not.toContain("heatwave");
  });

  it("is replaced where it stands by the next one, beside another stack's", () => {
    const both = withGrants(withGrants(POLICY, "production", LINES), "staging", [
      '{"src":["100.64.9.9"],"dst":["100.64.9.8"],"ip":["tcp:1"]},',
    ]);
    const changed = withGrants(both, "production", [LINES[0]!.replace("5432", "5433")]);
    expect(grantsOf(changed)).toHaveLength(3);
    expect(JSON.stringify(grantsOf(changed))).toContain("tcp:5433");
    expect(JSON.stringify(grantsOf(changed))).not.toContain("tcp:5432");
    expect(grantsOf(withGrants(changed, "production", []))).toHaveLength(2);
  });

  it.each([
    ["a file that is none", "not a policy", /cannot be read \(line 1\)/],
    ["a list", "[]", /cannot be read/],
    ["an unclosed bracket", '{\n"grants": [\n', /cannot be read \(line/],
    ["grants that are no list", '{"grants": {}}', /no list/],
    ["grants twice", '{"grants": [], "grants": []}', /twice/],
    ["grants in capitals", '{"Grants": []}', /write it as grants/],
  ])("is refused by %s", (_, policy, said) => {
    expect(() => withGrants(policy, "production", LINES)).toThrow(said);
  });

  it("is refused where somebody took one of its marks away", () => {
    const merged = withGrants(POLICY, "production", LINES);
    expect(() => withGrants(merged.replace("// heatwave production: end", ""), "production", LINES)).toThrow(
      /not one pair/,
    );
  });
});

describe("the policy file of a tailnet", () => {
  let api: TailscaleApi;
  let client: TailnetApi;
  beforeEach(async () => {
    api = await TailscaleApi.start();
    api.policy = { text: POLICY, isDefault: false };
    client = new TailnetApi({ ...CREDENTIALS, baseUrl: api.url });
  });
  afterEach(() => api.stop());
  const writes = () => api.seen.filter(({ line }) => line === "POST /api/v2/tailnet/-/acl");

  it("is written once, after the API found it valid, and only as it was read", async () => {
    const { etag } = api;
    expect(await ensureGrants(client, "production", LINES)).toBe("written");
    expect(grantsOf(api.policy.text)).toContainEqual(OURS);
    expect(writes().map(({ headers }) => [headers["if-match"], headers["content-type"]])).toEqual([
      [`"${etag}"`, "application/hujson"],
    ]);
    expect(await ensureGrants(client, "production", LINES)).toBe("unchanged");
    expect(writes()).toHaveLength(1);
  });

  it("keeps a change that somebody else made in between", async () => {
    let once = true;
    api.objection = () => {
      // Between our look and our write.
      if (once) api.policy = { text: POLICY.replace("tcp:443", "tcp:8443"), isDefault: false };
      once = false;
      return undefined;
    };
    expect(await ensureGrants(client, "production", LINES)).toBe("written");
    expect(api.policy.text).toContain("tcp:8443");
    expect(grantsOf(api.policy.text)).toContainEqual(OURS);
    expect(writes()).toHaveLength(2);
  });

  it("stays as it is where others write all the time, or the API objects", async () => {
    let n = 0;
    api.objection = () => void (api.policy = { text: `${POLICY}// ${(n += 1)}\n`, isDefault: false });
    await expect(ensureGrants(client, "production", LINES)).rejects.toThrow(/412/);
    expect(api.policy.text).not.toContain("heatwave");
    api.objection = () => "test(s) failed";
    const before = writes().length;
    await expect(ensureGrants(client, "production", LINES)).rejects.toThrow(
      /nothing was written; .*test\(s\) failed/,
    );
    expect(writes()).toHaveLength(before);
  });

  it("is merged and given back by the command that `up` and `destroy` run", async () => {
    const run = async (what: string, secret: string = CREDENTIALS.clientSecret) => {
      const child = spawn(join(project, "bin/tailnet"), ["grants", "production", what], {
        env: { ...process.env, HEATWAVE_GRANTS: `${LINES.join("\n")}\n` },
        stdio: ["pipe", "pipe", "pipe"],
      });
      child.stdin.end(
        JSON.stringify({ clientId: CREDENTIALS.clientId, clientSecret: secret, baseUrl: api.url }),
      );
      const said = text(child.stderr);
      const [code] = (await once(child, "close")) as [number];
      return { code, said: await said };
    };
    expect(await run("merge")).toEqual({
      code: 0,
      said: "grants of production: the tailnet's policy file is written\n",
    });
    expect(await run("merge")).toMatchObject({ code: 0, said: expect.stringMatching(/unchanged/) as string });
    const wrong = await run("merge", "tskey-client-other");
    expect(wrong).toMatchObject({
      code: 1,
      said: expect.stringMatching(/^error: POST \/oauth\/token: 401/) as string,
    });
    expect(wrong.said).not.toContain("tskey");
    expect(await run("remove")).toMatchObject({ code: 0 });
    expect(api.policy.text).toBe(POLICY);
  }, 60_000);
});
