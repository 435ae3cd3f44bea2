/**
 * `bin/test`: every layer in turn, then one plain line `N passed, N failed[, N skipped]`.
 *
 *   bin/test            all fast layers, each program by itself, and sealed worlds with a fixed choice of faults
 *   bin/test --all      everything: also the suites of `LONG`, the rows of the restart table that take minutes each,
 *                       and 50 kills of the engine (HEATWAVE_ALL=1)
 *   bin/test --fast     no world: what runs without Docker
 *   -y, --yes           install Docker without asking (CI does)
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { leaveNothing, prepareTester } from "./support/tester.ts";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
  /** One paragraph for each failure, told again at the end: a CI page shows the last lines alone. */
  failures: string[];
}

/** What of vitest's JSON report is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Set where the file failed outside every test. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

interface Layer {
  readonly title: string;
  /** Made when its turn comes: some have to be prepared. */
  readonly command: () => readonly string[] | Promise<readonly string[]>;
  /** Counted test by test from vitest's report; otherwise the command is one check. */
  readonly vitest?: boolean;
}

const root = join(import.meta.dirname, "..");
const { values: flags } = parseArgs({
  options: { all: { type: "boolean" }, fast: { type: "boolean" }, yes: { type: "boolean", short: "y" } },
});
const reports = mkdtempSync(join(tmpdir(), "heatwave-test-"));
const bin = (name: string): string => join(root, "node_modules", ".bin", name);
const yes = flags.yes === true;

/** Tests of one program by itself, in a container that has all they need. */
const ALONE = [
  "foreign-program",
  "pg-health",
  "providers",
  "providers-ssh",
  "router",
  "start-rules",
  "router-check",
  "router-guard",
  "router-reload",
].map((name) => `test/live/${name}.test.ts`);
/** Suites in worlds of their own that would take the plain run past its 25 minutes. */
const LONG = [
  "adoption",
  "adoption-one-site",
  "changes",
  "docs",
  "drift",
  "engine-crash",
  "failover",
  "faults",
  "firewall",
  "flip-aborts",
  "flip-links",
  "flip-refusals",
  "flip-series",
  "hosts",
  "images",
  "interchange",
  "limits",
  "migration",
  "maintenance",
  "operator",
  "recovery",
  "rebuild",
  "rejoin",
  "secrets",
  "seeds",
].map((name) => `test/live/${name}.test.ts`);
const LIVE = ["run", "--config", "vitest.live.config.ts"];

const fast: readonly Layer[] = [
  { title: "types", command: () => [bin("tsc"), "-p", "."] },
  { title: "lint", command: () => [bin("eslint"), "."] },
  { title: "format", command: () => [bin("prettier"), "--check", "--log-level", "warn", "."] },
  {
    title: "imports run one way",
    command: () => [bin("depcruise"), "--output-type", "err", "stacks", "components", "infra"],
  },
  { title: "fast tests", command: () => [bin("vitest"), "run"], vitest: true },
];
const live: readonly Layer[] = [
  {
    title: "each program by itself",
    command: async () => [...(await prepareTester(root, reports, yes)), ...LIVE, ...ALONE],
    vitest: true,
  },
  {
    title: "sealed worlds",
    command: () => {
      const left = flags.all === true ? ALONE : [...ALONE, ...LONG];
      return [bin("vitest"), ...LIVE, ...left.flatMap((file) => ["--exclude", file])];
    },
    vitest: true,
  },
];

const total: Count = { passed: 0, failed: 0, skipped: 0, failures: [] };
const started = Date.now();
try {
  const layers = flags.fast === true ? fast : [...fast, ...live];
  for (const [i, layer] of layers.entries()) {
    const begun = Date.now();
    process.stdout.write(`\n== ${layer.title}\n`);
    const count = await run(layer, join(reports, `${i}.json`));
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
    total.failures.push(...count.failures);
    process.stdout.write(`   ${layer.title}: ${summary(count)} in ${seconds(begun)}\n`);
  }
} finally {
  if (flags.fast !== true) await leaveNothing(root);
  rmSync(reports, { recursive: true, force: true });
}
const failures = total.failures.map((failure) => `\nfailed: ${failure}\n`).join("");
process.stdout.write(`${failures}\nFinished in ${seconds(started)}.\n${summary(total)}\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

async function run(layer: Layer, report: string): Promise<Count> {
  try {
    return await measure(layer, report);
  } catch (error) {
    return failed(`${layer.title}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function measure(layer: Layer, report: string): Promise<Count> {
  const reporters =
    layer.vitest === true ? ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`] : [];
  const code = await status([...(await layer.command()), ...reporters]);
  if (layer.vitest === true) {
    const count = counted(layer.title, report);
    if (code === 0 || count.failed > 0) return count;
    // A crash outside every test must not look like a pass.
    const failures = count.failures.length > 0 ? count.failures : [`${layer.title}: ended with ${code}`];
    return { ...count, failed: 1, failures };
  }
  return code === 0 ? { passed: 1, failed: 0, skipped: 0, failures: [] } : failed(layer.title);
}

function counted(title: string, report: string): Count {
  let read: Report;
  try {
    read = JSON.parse(readFileSync(report, "utf8")) as Report;
  } catch (error) {
    return failed(
      `${title}: no report was written (${error instanceof Error ? error.message : String(error)})`,
    );
  }
  return {
    passed: read.numPassedTests,
    failed: read.numFailedTests,
    skipped: read.numPendingTests + read.numTodoTests,
    failures: read.testResults
      .filter(({ status }) => status === "failed")
      .flatMap(({ name, message, assertionResults }) => {
        const tests = assertionResults
          .filter(({ status }) => status === "failed")
          .map(({ fullName, failureMessages = [] }) => `${fullName}\n${failureMessages.join("\n")}`);
        return (tests.length > 0 ? tests : [message]).map((text) =>
          brief(`${relative(root, name)} > ${text}`),
        );
      }),
  };
}

function failed(failure: string): Count {
  return { passed: 0, failed: 1, skipped: 0, failures: [failure] };
}

/** The first lines of a failure: its name, what was expected and where in our code; all of it stands further up. */
function brief(failure: string): string {
  const lines = failure.split("\n").filter((line) => !/^\s+at .*(node_modules|new Promise)/.test(line));
  return lines.slice(0, 20).join("\n  ");
}

function status([program = "", ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...(flags.all === true ? { HEATWAVE_ALL: "1" } : {}) },
    });
    child.once("error", (error) => {
      process.stderr.write(`error: cannot run ${program}: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

function summary(count: Count): string {
  const skipped = count.skipped === 0 ? "" : `, ${count.skipped} skipped`;
  return `${count.passed} passed, ${count.failed} failed${skipped}`;
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
