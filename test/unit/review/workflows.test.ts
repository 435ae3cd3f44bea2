import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { recoveryProgram } from "../../../infra/cli/recovery/program.ts";
import type { Verbs } from "../../../infra/cli/recovery/program.ts";
import { reviewProgram } from "../../../infra/cli/review/program.ts";
import { MARKER } from "../../../infra/review/markdown.ts";

const ROOT = join(import.meta.dirname, "../../..");
const FOLDER = join(ROOT, ".github/workflows");

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}
interface Job {
  readonly if?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly file: string;
  readonly text: string;
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: unknown;
  readonly concurrency?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const workflows: readonly Workflow[] = readdirSync(FOLDER).map((file) => {
  const text = readFileSync(join(FOLDER, file), "utf8");
  return { file, text, ...(parse(text) as Omit<Workflow, "file" | "text">) };
});
const jobs = workflows.flatMap((workflow) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ workflow, name: `${workflow.file}: ${name}`, job })),
);
const steps = jobs.flatMap(({ name, job }) =>
  job.steps.map((step, at) => [`${name}, step ${at + 1}`, step] as const),
);
const workflow = (file: string): Workflow => {
  const found = workflows.find((one) => one.file === file);
  if (found === undefined) throw new Error(`no workflow ${file}`);
  return found;
};

/** What a job may do to the repository. Every other one may do nothing. */
const PERMISSIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "preview.yml: state": { contents: "read" },
  "preview.yml: desired": { contents: "read" },
  "preview-comment.yml: comment": { actions: "read", "pull-requests": "write" },
  "drift.yml: drift": { contents: "read" },
};

describe("the workflows", () => {
  test("are these", () => {
    expect(workflows.map(({ file }) => file).toSorted()).toEqual([
      "drift.yml",
      "preview-comment.yml",
      "preview.yml",
    ]);
  });

  test.for(steps.filter(([, { uses }]) => uses !== undefined))(
    "pin an action by its commit: %s",
    ([, { uses = "" }]) => {
      expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
      const line = workflows.flatMap(({ text }) => text.split("\n")).find((one) => one.includes(uses));
      expect(line).toMatch(/ # v\d+\.\d+\.\d+$/);
      expect(readFileSync(join(ROOT, "docs/decisions/0019-review.md"), "utf8")).toContain(uses.split("@")[1]);
    },
  );

  test.for(jobs)(
    "give a job the least permissions: $name",
    ({ workflow: { permissions, concurrency }, name, job }) => {
      expect(permissions).toEqual({});
      expect(job.permissions).toEqual(PERMISSIONS[name]);
      expect(concurrency).toBeDefined();
    },
  );

  test("hand no token to what runs the code under review", () => {
    for (const { workflow: of, job } of jobs.filter((one) => one.workflow.file === "preview.yml")) {
      expect(JSON.stringify(job)).not.toMatch(/github\.token|GITHUB_TOKEN/);
      expect(
        job.steps.flatMap(({ uses, with: given }) =>
          uses?.startsWith("actions/checkout@") === true ? [given?.["persist-credentials"]] : [],
        ),
      ).toEqual([false]);
      expect(Object.keys(of.on)).toEqual(["pull_request"]);
    }
  });

  test("let no secret near a fork's pull request", () => {
    for (const { workflow: of, name, job } of jobs) {
      expect(Object.keys(of.on), name).not.toContain("pull_request_target");
      const hasSecrets = /\$\{\{[^}]*\bsecrets\b/.test(JSON.stringify(job));
      if (!hasSecrets || !("pull_request" in of.on)) continue;
      expect(job.if, name).toBe(
        "github.event.pull_request.head.repo.full_name == github.repository && github.actor != 'dependabot[bot]'",
      );
    }
    expect(JSON.stringify(workflow("preview.yml").jobs["desired"])).not.toContain("secrets");
  });

  test("check out nothing where a token may write", () => {
    const { job } = jobs.find(({ name }) => name === "preview-comment.yml: comment")!;
    expect(job.steps.map(({ uses, name }) => uses?.split("@")[0] ?? name)).toEqual([
      "actions/download-artifact",
      "comment",
    ]);
    expect(job.steps.map(({ run }) => run ?? "").join()).not.toMatch(/\b(bin\/|npm|node|git) /);
  });

  test.for(steps.filter(([, { run }]) => run !== undefined))(
    "put no text of a pull request into a script: %s",
    ([, { run = "" }]) => {
      expect(run).not.toContain("${{");
      execFileSync("bash", ["-n", "-c", run]);
    },
  );
});

describe("their commands", () => {
  const lines = steps.flatMap(([name, { run }]) =>
    (run ?? "").split("\n").flatMap((line) => {
      const [, command = "", words = ""] = /\b(bin\/[a-z]+) ([^>|]*)/.exec(line) ?? [];
      return command === "" ? [] : [{ name, command, words }];
    }),
  );

  test("are looked for", () => {
    expect(lines.map(({ command }) => command)).toEqual(["bin/recovery", "bin/review", "bin/review"]);
  });

  test.for(lines)("exist with these options: $command $words", async ({ command, words }) => {
    expect(existsSync(join(ROOT, command))).toBe(true);
    const list = words
      .replaceAll(/"\$\([^)]*\)"/g, "revision")
      .replaceAll('"$STACK"', "production")
      .trim()
      .split(/\s+/);
    const called: unknown[] = [];
    if (command === "bin/review") {
      await reviewProgram(ROOT, (options) => Promise.resolve(void called.push(options))).parseAsync(list, {
        from: "user",
      });
    } else {
      const [stack = "", ...rest] = list;
      const verbs = new Proxy(
        {},
        { get: (_, verb) => () => Promise.resolve(void called.push(verb)) },
      ) as Verbs;
      await recoveryProgram(stack, verbs).parseAsync(rest, { from: "user" });
    }
    expect(called).toHaveLength(1);
  });
});

describe("the comment", () => {
  const script =
    workflow("preview-comment.yml").jobs["comment"]?.steps.find(({ name }) => name === "comment")?.run ?? "";
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heatwave-comment-"));
    for (const stack of ["production", "staging"]) {
      mkdirSync(join(folder, "reviews", `review-${stack}`), { recursive: true });
      writeFileSync(
        join(folder, "reviews", `review-${stack}`, `review-${stack}.md`),
        `${MARKER}: ${stack} -->\n## ${stack}\n`,
      );
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs the step with a `gh` that answers from the given lists by jq, as the real one does; gives what it was asked to write. */
  function posted(pulls: readonly object[], comments: readonly object[]): string {
    writeFileSync(join(folder, "pulls.json"), JSON.stringify(pulls));
    writeFileSync(join(folder, "comments.json"), JSON.stringify(comments));
    writeFileSync(
      join(folder, "gh"),
      `#!/bin/bash
case "$*" in
  *PATCH* | *POST*) echo "$3 $4" >>written; cat comment.md >>written ;;
  *pulls*) node jq.mjs pulls.json "\${@: -1}" ;;
  *) node jq.mjs comments.json "\${@: -1}" ;;
esac
`,
    );
    // The two filters of the script, in JavaScript: jq is not on every machine.
    writeFileSync(
      join(folder, "jq.mjs"),
      `import { readFileSync } from "node:fs";
const list = JSON.parse(readFileSync(process.argv[2], "utf8"));
const filter = process.argv[3];
if (filter === '[.[] | select(.head.sha == env.HEAD_SHA) | .number][0] // empty')
  console.log(list.find((one) => one.head.sha === process.env.HEAD_SHA)?.number ?? "");
else if (filter === '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("<!-- heatwave-review"))) | .id')
  for (const one of list) { if (one.user.login === "github-actions[bot]" && one.body.startsWith("<!-- heatwave-review")) console.log(one.id); }
else process.exit(9);
`,
    );
    chmodSync(join(folder, "gh"), 0o755);
    const env = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      REPOSITORY: "o/r",
      HEAD_SHA: "abc",
      HEAD: "eve:fix",
    };
    execFileSync("bash", ["-e", "-o", "pipefail", "-c", script], { cwd: folder, env });
    const written = join(folder, "written");
    return existsSync(written) ? readFileSync(written, "utf8") : "";
  }
  const BOTH = `${MARKER}: production -->\n## production\n${MARKER}: staging -->\n## staging\n`;
  const pull = { number: 7, head: { sha: "abc" } };
  const bot = { login: "github-actions[bot]" };

  test("is made once, of all stacks", () => {
    expect(posted([pull], [])).toBe(`POST repos/o/r/issues/7/comments\n${BOTH}`);
  });

  test("then kept up to date, and nobody else's is touched", () => {
    const others = [
      { id: 1, user: { login: "eve" }, body: BOTH },
      { id: 2, user: bot, body: "something else" },
    ];
    expect(posted([pull], [...others, { id: 3, user: bot, body: BOTH }])).toBe(
      `PATCH repos/o/r/issues/comments/3\n${BOTH}`,
    );
    rmSync(join(folder, "written"));
    expect(posted([pull], others)).toMatch(/^POST /);
  });

  test("is not made for a commit that is no pull request's head any more", () => {
    expect(posted([{ number: 7, head: { sha: "newer" } }], [])).toBe("");
  });
});
