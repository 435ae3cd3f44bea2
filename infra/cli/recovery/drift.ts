import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { declaredStack } from "../../drift/declared.ts";
import type { DeclaredStack } from "../../drift/declared.ts";
import type { Difference, HostLook } from "../../drift/drift.ts";
import { hostDifferences, isFirewall } from "../../drift/drift.ts";
import type { DatabaseRoles } from "../../drift/roles.ts";
import { databaseDifferences, roleDifferences, ROLES_QUERY } from "../../drift/roles.ts";
import type { Inspected } from "../../engine/providers/docker/inspected.ts";
import { lookAtHost } from "../../hosts/host-files.ts";
import type { StackHost } from "../../hosts/stack-host.ts";
import { loadStackFile } from "../../config/load.ts";
import { readOverlay } from "../../config/overlay.ts";
import { judge } from "../../runbooks/judge.ts";
import { hostOf, observe } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { paintFor } from "../engine/paint.ts";
import { desiredResources } from "../review/compare.ts";
import { closeStack, openStack, PROJECT } from "./context.ts";
import { driftLines } from "./drift-text.ts";
import { exitCodes } from "./exit-codes.ts";

export interface DriftOptions {
  readonly json?: true | undefined;
}

/** Seconds for the primary's answer about its roles and databases. */
const ROLES_SECONDS = 10;
/** Seconds for a host's word on its firewall: iptables waits 10 s for each of its locks. */
const FIREWALL_SECONDS = 30;

/** Compares what is there with what the program asks for, and prints what differs. Reads alone. */
export async function driftVerb(name: string, options: DriftOptions): Promise<number> {
  const stack = openStack(name, "runbook");
  try {
    const [declared, { ledger: _ledger, ...seen }] = await Promise.all([declaredBy(stack), observe(stack)]);
    const [looks, databases] = await Promise.all([
      lookAtAll(stack, declared),
      databasesAt(stack, seen.primaries),
    ]);
    const differences = [
      ...roleDifferences(judge(seen), seen.declared, seen.primaries),
      ...hostDifferences(declared, looks, name),
      ...databases,
    ];
    const looked = {
      hosts: looks.size,
      files: declared.files.length,
      containers: declared.containers.length,
    };
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ stack: name, at: seen.at, drift: differences.length > 0, looked, differences }, null, 2)}\n`
        : `${driftLines(name, seen.at, looked, differences, paintFor(process.stdout, process.env)).join("\n")}\n`,
    );
    return differences.length > 0 ? exitCodes.drift : exitCodes.done;
  } finally {
    await closeStack(stack);
  }
}

/** By the program itself, run against no state; nothing is decrypted. */
async function declaredBy(stack: Stack): Promise<DeclaredStack> {
  const scratch = mkdtempSync(join(tmpdir(), "heatwave-drift-"));
  try {
    const room = { stack: stack.name, scratch, environment: process.env };
    return declaredStack(await desiredResources(PROJECT, room), stack.topology.hosts);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A host that cannot be looked at is said to be so, and hides nothing of the others. */
async function lookAtAll(stack: Stack, declared: DeclaredStack): Promise<ReadonlyMap<string, HostLook>> {
  const looks = await Promise.all(
    stack.topology.hosts.map(async ({ name }): Promise<readonly [string, HostLook]> => {
      const files = declared.files.filter(({ host }) => host === name).map(({ path }) => path);
      const names = declared.containers
        .filter(({ host }) => host === name)
        .map((container) => container.name);
      try {
        const host = hostOf(stack, name);
        const guarded = declared.files.some((file) => file.host === name && isFirewall(file));
        const [contents, unguarded] = await Promise.all([
          lookAtHost(host, files, names),
          guarded ? firewallProblem(host) : undefined,
        ]);
        const containers = (contents.containers as readonly Inspected[]).map(
          (found) => [found.Name.replace(/^\//, ""), found] as const,
        );
        return [name, { ...contents, kind: "seen", containers: new Map(containers), unguarded }];
      } catch (error) {
        return [name, { kind: "unseen", message: (error as Error).message }];
      }
    }),
  );
  return new Map(looks);
}

/** Why the rules are not in force; undefined when they are. A rule before them is one as well: it may let in anybody. */
async function firewallProblem(host: StackHost): Promise<string | undefined> {
  const { exitCode, stderr } = await host.tool(["firewall", "check"], { seconds: FIREWALL_SECONDS });
  const said = stderr.trim().split("\n").at(-1) ?? "";
  if (exitCode === 0 && said === "") return undefined;
  return said.replace(/^(error|warning): ([^ ]+: )?/, "") || `host-tool firewall check: code ${exitCode}`;
}

/** Where not exactly one site takes writes, topology's findings say so. */
async function databasesAt(stack: Stack, primaries: readonly string[]): Promise<readonly Difference[]> {
  const [primary, ...others] = primaries;
  const site = stack.topology.sites.find(({ name }) => name === primary);
  if (site === undefined || others.length > 0) return [];
  const { postgres } = loadStackFile(PROJECT, stack.name, readOverlay());
  try {
    const instance = { container: site.postgres.container, port: site.postgres.port };
    const answer = await hostOf(stack, site.host.name).sql(instance, `${ROLES_QUERY};`, ROLES_SECONDS);
    return databaseDifferences(postgres, JSON.parse(answer) as DatabaseRoles, site.name);
  } catch (error) {
    return [
      {
        aspect: "database",
        where: site.name,
        what: "roles and databases",
        declared: "as in the stack file",
        seen: undefined,
        next: (error as Error).message,
      },
    ];
  }
}
