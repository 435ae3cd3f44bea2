import { describe, expect, it } from "vitest";
import { loadStackFile } from "../../../infra/config/load.ts";
import { ConfigError } from "../../../infra/config/problem.ts";
import { draw } from "./arbitrary.ts";
import { asFile, inFolder, loadText } from "./doors.ts";

/** The one block of the report, without its indentation. */
function refusal(load: () => unknown): {
  head: string;
  place: string;
  value: string;
  allowed: string;
  fix: string;
} {
  let message = "";
  try {
    load();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    message = (error as Error).message;
  }
  const [head, block, ...more] = message.split("\n\n");
  expect(more, message).toEqual([]);
  const [place, value, allowed, fix] = block!.split("\n").map((line) => line.trim());
  const behind = (line: string, word: string): string => {
    expect(line.startsWith(word), message).toBe(true);
    return line.slice(word.length).trim();
  };
  return {
    head: head!,
    place: place!,
    value: behind(value!, "value"),
    allowed: behind(allowed!, "allowed"),
    fix: behind(fix!, "fix"),
  };
}

const VALID = asFile(draw(1)[0]!);

describe("which stack", () => {
  const files = {
    "Pulumi.production.yaml": VALID,
    "Pulumi.staging.yaml": VALID,
    "Pulumi.yaml": "name: heatwave",
  };
  const at = (stack: string) => refusal(() => inFolder(files, (folder) => loadStackFile(folder, stack)));

  it("lists what exists, where there is no such file", () => {
    expect(at("test")).toEqual({
      head: "no such stack file: 1 problem; nothing was touched",
      place: "stack",
      value: '"test"',
      allowed: "one of production, staging (the Pulumi.<stack>.yaml files that are there)",
      fix: "name one of them, or write the file first",
    });
  });

  it.each([
    ["prodution", "production"],
    ["Staging", "staging"],
    ["Pulumi.staging.yaml", "staging"],
    ["organization/heatwave/production", "production"],
  ])("knows what %s was meant to be", (said, meant) => {
    expect(at(said).fix).toBe(`write ${meant}`);
  });

  it.each(["../production", "", ".", "production\u0000", "__proto__"])(
    "opens nothing for the name %j",
    (name) => {
      expect(at(name).place).toBe("stack");
    },
  );

  it("says so where there is none at all, and where there is no folder", () => {
    const none = refusal(() => inFolder({}, (folder) => loadStackFile(folder, "test")));
    expect(none.allowed).toMatch(/of which .* has none$/);
    expect(refusal(() => loadStackFile("/nowhere/at/all", "test")).allowed).toMatch(/has none$/);
  });
});

describe("a file that is not YAML", () => {
  const secretLine = "      superuserPassword: hunter2-hunter2";
  it.each([
    ["a tab", `config:\n\theatwave:primary: x\n`, "line 2, column 1", "heatwave:primary", /^spaces/, /tab/],
    [
      "a bracket left open",
      "config:\n  heatwave:sites: [a, b\n",
      /^line \d+, column \d+$/,
      "(none)",
      /^YAML$|indented/,
      /bracket/,
    ],
    [
      "a quote left open",
      'config:\n  heatwave:primary: "dal\n',
      /^line/,
      /^\(none\)$|heatwave:primary/,
      /^YAML$/,
      /quotes/,
    ],
    [
      "a key twice",
      "config:\n  heatwave:primary: a\n  heatwave:primary: b\n",
      "line 3, column 3",
      "heatwave:primary",
      /^each key once$/,
      /remove one/,
    ],
    [
      "a wrong indentation",
      "config:\n   heatwave:primary: a\n  heatwave:sites: b\n",
      /^line 3/,
      "heatwave:sites",
      /indented alike/,
      /indentation/,
    ],
    ["two documents", "config: {}\n---\nconfig: {}\n", /^line/, "(none)", /one YAML document/, /hyphens/],
    [
      "a colon in a value",
      `config:\n    heatwave:secrets:\n${secretLine}: x\n`,
      /^line 3/,
      "superuserPassword",
      /./,
      /./,
    ],
    ["an alias to nothing", "config: *nowhere\n", /./, "(none)", /./, /./],
    [
      "an alias in a circle",
      "config: &a\n  heatwave:hosts: *a\n",
      /./,
      "(none)",
      /levels|aliases|YAML/,
      /alias|write the values out|quotes/,
    ],
    [
      "a bomb",
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${Array(20).fill("*a").join()}]\nconfig: [${Array(20).fill("*b").join()}]\n`,
      "the file",
      "(none)",
      /aliases/,
      /write the values out/,
    ],
  ])("because of %s", (_name, text, place, value, allowed, fix) => {
    const found = refusal(() => loadText(text));
    expect(found.head).toBe("Pulumi.test.yaml: 1 problem; nothing was touched");
    expect(found.place).toMatch(place);
    expect(found.value.replaceAll('"', "")).toMatch(value);
    expect(found.allowed).toMatch(allowed);
    expect(found.fix).toMatch(fix);
    expect(JSON.stringify(found)).not.toContain("hunter2");
  });
});

describe("a file without a configuration", () => {
  it.each([
    ["nothing", "", "the file", "empty"],
    ["a comment", "# to be written\n", "the file", "empty"],
    ["a text", "dal-01\n", "the file", "text (not shown)"],
    ["a list", "- config\n", "the file", "a list (1)"],
    ["other keys", "encryptionsalt: v1:x\n", "config", "(none)"],
    ["an empty config", "config:\n", "config", "empty"],
    ["a list as config", "config:\n  - heatwave:primary: x\n", "config", "a list (1)"],
  ])("but with %s", (_name, text, place, value) => {
    const found = refusal(() => loadText(text));
    expect(found).toMatchObject({ place, value });
    expect(found.allowed).toContain("heatwave:primary");
    expect(found.fix).toContain("docs/configuration.md");
  });

  it("names every required key of an empty one", () => {
    expect(() => loadText("config: {}\n")).toThrow(
      /5 problems[^]*:primary[^]*:hosts[^]*:sites[^]*:images[^]*:secrets/,
    );
  });
});

describe("passwords in the file", () => {
  const [stack] = draw(1);
  const edited = (edit: (config: Record<string, unknown>) => void) => {
    const config: Record<string, unknown> = JSON.parse(JSON.stringify(stack)) as Record<string, unknown>;
    const secrets = config["secrets"] as Record<string, unknown>;
    for (const key of Object.keys(secrets)) if (key !== "roles") secrets[key] = { secure: "v1:x" };
    const roles = secrets["roles"] as Record<string, unknown>;
    for (const key of Object.keys(roles)) roles[key] = { secure: "v1:x" };
    edit(config);
    return JSON.stringify({
      config: Object.fromEntries(Object.entries(config).map(([key, value]) => [`heatwave:${key}`, value])),
    });
  };
  const at = (edit: (config: Record<string, unknown>) => void) => refusal(() => loadText(edited(edit)));
  const secretsOf = (config: Record<string, unknown>) => config["secrets"] as Record<string, unknown>;

  it.each(["hunter2-hunter2", 'it\'s "quoted" %s $HOME \\n', "a", ""])(
    "are refused readable: %j",
    (password) => {
      const found = at((config) => (secretsOf(config)["superuserPassword"] = password));
      expect(found.place).toBe("heatwave:secrets.superuserPassword");
      expect(found.value).toBe("(hidden: a secret)");
      expect(found.allowed).toMatch(/^an encrypted value/);
      expect(found.fix).toContain("`pulumi config set --secret --path 'heatwave:secrets.superuserPassword'`");
      if (password.length > 1)
        expect(JSON.stringify(found)).not.toContain(JSON.stringify(password).slice(1, -1));
    },
  );

  it("are refused readable as a number, and for a role", () => {
    expect(at((config) => (secretsOf(config)["peerSecret"] = 1234567890)).value).toBe("(hidden: a secret)");
    const role = at((config) => {
      config["postgres"] = { roles: [{ name: "shop" }] };
      secretsOf(config)["roles"] = { shop: "hunter2-hunter2" };
    });
    expect(role.place).toBe("heatwave:secrets.roles.shop");
    expect(role.fix).toContain("'heatwave:secrets.roles.shop'");
  });

  it("are hidden where the same text stands in another place", () => {
    const message = () =>
      loadText(
        edited((config) => {
          secretsOf(config)["peerSecret"] = "hunter2-hunter2";
          config["primary"] = "hunter2-hunter2!";
        }),
      );
    expect(message).toThrow(/2 problems/);
    expect(message).not.toThrow(/hunter2/);
  });

  it("are encrypted one by one, not as a whole", () => {
    const whole = at((config) => (config["secrets"] = { secure: "v1:x" }));
    expect(whole).toMatchObject({ place: "heatwave:secrets", allowed: "each secret encrypted by itself" });
    const roles = at((config) => (secretsOf(config)["roles"] = { secure: "v1:x" }));
    expect(roles).toMatchObject({
      place: "heatwave:secrets.roles",
      allowed: "each secret encrypted by itself",
    });
  });

  it("are the only thing that is encrypted", () => {
    const found = at((config) => (config["primary"] = { secure: "v1:x" }));
    expect(found).toMatchObject({
      place: "heatwave:primary",
      value: '"(encrypted)"',
      fix: "set it again without --secret",
    });
  });
});

describe("keys as the Pulumi CLI takes them", () => {
  const load = (rename: (key: string) => string) =>
    loadText(VALID.replaceAll(/^ {2}heatwave:/gm, (key) => `  ${rename(key.trim())}`));

  it("may stand without the project's namespace, or in the old long form", () => {
    const config = load((key) => key);
    expect(load(() => "")).toEqual(config);
    expect(load((key) => `${key}config:`)).toEqual(config);
  });

  it("of other namespaces are somebody else's", () => {
    expect(
      loadText(`${VALID}  docker:host: ssh://x\n  pulumi:disable-default-providers:\n    - docker\n`),
    ).toEqual(loadText(VALID));
  });

  it("are refused with a second colon", () => {
    expect(refusal(() => loadText(`${VALID}  heatwave:a:b: 1\n`)).place).toBe('heatwave:["a:b"]');
  });

  it("hold text at the top whatever YAML reads there, as the program gets it", () => {
    const names = ["true", "12", "1e3", "null"];
    // Some of the drawn stacks have a site of such a name, which may well be the primary.
    const stack = draw(100).find((raw) => !names.some((name) => JSON.stringify(raw).includes(`"${name}"`)));
    const text = asFile(stack!);
    const named = (name: string) => text.replace(/heatwave:primary: .*/, `heatwave:primary: ${name}`);
    for (const name of names) {
      const message = () => loadText(named(name));
      expect(message).toThrow(/heatwave:primary\n/);
      expect(message).not.toThrow(/quotes/);
    }
  });
});
