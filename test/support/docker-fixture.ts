import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { tar } from "../../infra/hosts/tar.ts";

export const DOCKER_SOCKET = "unix:///var/run/docker.sock";
export const LABEL = "heatwave.providers-test";
export const IMAGE = "heatwave-providers-test:1";

/** The label as the provider's inputs have it. */
export const LABELS = [{ label: LABEL, value: "1" }];

/** A tiny image of one static program; no registry is needed. */
export function importImage(): void {
  const busybox = readFileSync("/bin/busybox");
  const links = ["sleep", "cat", "echo", "id", "stat", "test", "touch", "printenv", "true", "false"];
  const archive = tar([
    { name: "bin/", content: new Uint8Array(), mode: 0o755 },
    { name: "tmp/", content: new Uint8Array(), mode: 0o777 },
    { name: "etc/", content: new Uint8Array(), mode: 0o755 },
    { name: "bin/busybox", content: busybox, mode: 0o755 },
    // Called by this name the same program is the shell.
    { name: "bin/sh", content: busybox, mode: 0o755 },
    ...links.map((link) => ({
      name: `bin/${link}`,
      content: Buffer.from(`#!/bin/busybox sh\nexec /bin/busybox ${link} "$@"\n`),
      mode: 0o755,
    })),
  ]);
  execFileSync("docker", ["import", "--change", `LABEL ${LABEL}=1`, "-", IMAGE], { input: archive });
}

/** Removes everything this test ever made, whatever made it fail. */
export function removeAll(): void {
  const run = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" }).trim();
  const filter = ["--filter", `label=${LABEL}`, "-q"];
  const each = (ids: string, ...command: string[]): void => {
    const list = ids.split("\n").filter((id) => id !== "");
    if (list.length > 0) run(...command, ...list);
  };
  each(run("ps", "-a", ...filter), "rm", "-f", "-v");
  each(run("network", "ls", ...filter), "network", "rm");
  each(run("volume", "ls", ...filter), "volume", "rm", "-f");
  each(run("images", ...filter), "rmi", "-f");
}
