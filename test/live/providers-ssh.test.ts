import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { commandPackage } from "../../infra/engine/providers/command/index.ts";
import { dockerPackage } from "../../infra/engine/providers/docker/index.ts";
import type { Provider } from "../../infra/engine/providers/provider.ts";
import { Archive, Asset } from "../../infra/engine/values.ts";
import type { ValueMap } from "../../infra/engine/values.ts";
import { SshHost } from "../../infra/hosts/ssh.ts";
import { pinnedHostKeyArguments } from "../../infra/hosts/ssh-options.ts";
import { callContext, make, secret } from "../support/provider-calls.ts";
import { IMAGE, importImage, LABELS, removeAll } from "../support/docker-fixture.ts";
import { NO_SFTP, startSshd } from "../support/sshd.ts";
import type { TestSshd } from "../support/sshd.ts";

/** Hosts and packages over a real sshd of the test's own, on loopback. */
let sshd: TestSshd;
let scratch: string;

beforeAll(async () => {
  sshd = await startSshd(["MaxSessions 3"]);
  scratch = mkdtempSync(join(tmpdir(), "hw-live-"));
});
afterAll(async () => {
  await sshd.stop();
  rmSync(scratch, { recursive: true, force: true });
});

describe("a host", () => {
  let host: SshHost;
  beforeEach(() => {
    host = new SshHost(sshd.target);
  });
  afterEach(async () => {
    await host.close();
  });

  test("runs a command and tells its status, both streams and their order", async () => {
    const result = await host.exec("echo out; echo err >&2; exit 3");
    expect(result).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    expect((await host.exec("exit 255")).exitCode).toBe(255);
  });

  test("runs more commands at once than sshd allows sessions, over one login", async () => {
    const numbers = Array.from({ length: 20 }, (_, index) => String(index));
    const results = await Promise.all(numbers.map((number) => host.exec(`echo ${number}`)));
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(numbers);
    const logins = await host.exec("echo $SSH_CONNECTION");
    expect((await host.exec("echo $SSH_CONNECTION")).stdout).toBe(logins.stdout);
  });

  test("writes files of any name and content", async () => {
    const path = join(scratch, 'it\'s a "file" $HOME');
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256));
    await host.copy(content, path, { mode: "0640" });
    expect(readFileSync(path).equals(content)).toBe(true);
    await expect(host.copy("x", join(scratch, "no/such/folder"))).rejects.toThrow(
      /^cannot write .*folder on/,
    );
  });

  test("knows which variables sshd takes, and sends those", async () => {
    expect(await host.refusedEnvironment(["HW_A", "OTHER"])).toEqual(["OTHER"]);
    expect((await host.exec('echo "$HW_A"', { env: { HW_A: "a  b" } })).stdout).toBe("a  b\n");
  });

  test("ends a command with its time limit, and goes on", async () => {
    await expect(host.exec("sleep 30", { timeoutSeconds: 0.3 })).rejects.toMatchObject({ kind: "timed-out" });
    expect((await host.exec("echo on")).stdout).toBe("on\n");
  });

  test("forwards a unix socket of the host", async () => {
    const path = await host.forward("/var/run/docker.sock");
    const ping = await host.exec(`curl -s --unix-socket ${path} http://d/_ping || true`);
    expect(ping.stdout).toBe("OK");
  });

  test("logs in again when its connection was lost", async () => {
    const first = (await host.exec("echo $SSH_CONNECTION")).stdout;
    // The server's side of this connection, and nothing else.
    await expect(host.exec("kill $PPID; sleep 30")).rejects.toMatchObject({ kind: "connection-lost" });
    expect((await host.exec("echo $SSH_CONNECTION")).stdout).not.toBe(first);
  });

  test("refuses another host key, with both fingerprints", async () => {
    const other = new SshHost({ ...sshd.target, hostKey: sshd.otherHostKey });
    await expect(other.connect()).rejects.toMatchObject({
      kind: "host-key-changed",
      message: expect.stringMatching(/shows SHA256:\S+ instead of SHA256:/) as string,
    });
  });

  test("tells an agent without the key", async () => {
    const { agentSocket: _, ...target } = sshd.target;
    vi.stubEnv("SSH_AUTH_SOCK", undefined);
    await expect(new SshHost(target).connect()).rejects.toMatchObject({ kind: "key-refused" });
  });

  test("is tried as often as told, then called unreachable", async () => {
    const errors: number[] = [];
    const nobody = new SshHost({ ...sshd.target, port: 1 });
    const onRetry = (failed: number): number => errors.push(failed);
    await expect(nobody.connect({ attempts: 3, onRetry })).rejects.toThrow(
      /refused \(after 3 failed attempts\)/,
    );
    expect(errors).toEqual([1, 2]);
  });
});

describe("remote commands and copies", () => {
  const REMOTE = "command:remote:Command";
  const COPY = "command:remote:CopyToRemote";
  let provider: Provider;
  let connection: ValueMap;

  beforeAll(async () => {
    provider = await commandPackage.configure({});
    const { address, port = 22, user, agentSocket = "" } = sshd.target;
    connection = { host: address, port, user, hostKey: sshd.hostKey, agentSocketPath: agentSocket };
  });
  afterAll(async () => {
    await provider.close();
  });

  const command = (news: ValueMap) => make(provider, callContext(REMOTE, "cmd"), { connection, ...news });

  test("a command runs there, with stdin and environment", async () => {
    const made = await command({
      create: "echo $HW_X; cat; echo err >&2",
      stdin: "in\n",
      environment: { HW_X: "1" },
    });
    expect(made.outputs).toMatchObject({ stdout: "1\nin", stderr: "err" });
  });

  test("a variable that sshd does not take is an error before anything runs", async () => {
    const file = join(scratch, "never");
    await expect(command({ create: `touch ${file}`, environment: { OTHER: "1" } })).rejects.toThrow(
      /could not set environment variable "OTHER"/,
    );
    expect(() => readFileSync(file)).toThrow();
  });

  test("a failure is told in the real package's words, without secrets", async () => {
    const failing = command({ create: "cat; exit 4", stdin: secret("hunter22") });
    await expect(failing).rejects.toThrow('Process exited with status 4: running "cat; exit 4":\n[secret]');
  });

  test("an update runs update with the output before it", async () => {
    const accepted = "HW_NOTHING=1 ";
    const made = await command({ create: `${accepted}echo first` });
    const news = { ...made.inputs, update: "echo second" };
    const context = callContext(REMOTE, "cmd");
    expect(await provider.update(context, made.id, made.inputs, made.outputs, news)).toMatchObject({
      stdout: "second",
    });
  });

  test("a text lands at its path, whose folders are made; not on a folder", async () => {
    const remotePath = join(scratch, "new/folder/text");
    const source = new Asset({ text: "über\n" }, "1");
    await make(provider, callContext(COPY, "copy"), { connection, source, remotePath });
    expect(readFileSync(remotePath, "utf8")).toBe("über\n");
    const onFolder = { connection, source, remotePath: join(scratch, "new") };
    await expect(make(provider, callContext(COPY, "copy"), onFolder)).rejects.toThrow(
      /remotePath must be a file path/,
    );
  });

  test("a copy is made again only when its content or its place changed", async () => {
    const remotePath = join(scratch, "again");
    const context = callContext(COPY, "copy");
    const made = await make(provider, context, {
      connection,
      source: new Asset({ text: "a" }, "1"),
      remotePath,
    });
    writeFileSync(remotePath, "touched");
    const same = { ...made.inputs, source: new Asset({ text: "a" }, "1"), triggers: ["x"] };
    await provider.update(context, made.id, made.inputs, made.outputs, same);
    expect(readFileSync(remotePath, "utf8")).toBe("touched");
    const other = { ...same, source: new Asset({ text: "b" }, "2") };
    await provider.update(context, made.id, made.inputs, made.outputs, other);
    expect(readFileSync(remotePath, "utf8")).toBe("b");
  });

  test("a file goes into a folder, a folder beside or as its content", async () => {
    const from = join(scratch, "from");
    mkdirSync(join(from, "sub"), { recursive: true });
    writeFileSync(join(from, "one"), "1");
    writeFileSync(join(from, "sub/two"), "2");
    const to = join(scratch, "to");
    mkdirSync(to);
    const context = callContext(COPY, "copy", scratch);
    const copy = (source: Asset | Archive, remotePath: string) =>
      make(provider, context, { connection, source, remotePath });
    await copy(new Asset({ path: "from/one" }, "1"), to);
    await copy(new Archive({ path: "from" }, "2"), to);
    await copy(new Archive({ path: "from/" }, "3"), join(to, "flat"));
    expect(readFileSync(join(to, "one"), "utf8")).toBe("1");
    expect(readFileSync(join(to, "from/sub/two"), "utf8")).toBe("2");
    expect(readFileSync(join(to, "flat/sub/two"), "utf8")).toBe("2");
    await expect(copy(new Archive({ path: "from" }, "4"), join(to, "one"))).rejects.toThrow(/failed to copy/);
  });

  test("a host without SFTP is told, as the real package would find it", async () => {
    const bare = await startSshd([NO_SFTP]);
    try {
      const { port = 22, agentSocket = "" } = bare.target;
      const there = { ...connection, port, hostKey: bare.hostKey, agentSocketPath: agentSocket };
      const news = {
        connection: there,
        source: new Asset({ text: "x" }, "1"),
        remotePath: join(scratch, "none"),
      };
      await expect(make(provider, callContext(COPY, "copy"), news)).rejects.toThrow(/offers no SFTP/);
    } finally {
      await bare.stop();
    }
  });

  test("a host that is not there is told after the attempts that were allowed", async () => {
    const dead = { ...connection, port: 1, dialErrorLimit: 1 };
    const context = callContext(REMOTE, "dead");
    const running = make(provider, context, { connection: dead, create: "true" });
    await expect(running).rejects.toThrow(/cannot be reached: .*refused \(after 2 failed attempts\)/);
    expect(context.said).toEqual(["Dial 1/1 failed: retrying"]);
  });
});

describe("docker over SSH", () => {
  beforeAll(() => {
    removeAll();
    importImage();
  });
  afterAll(removeAll);

  test("makes and removes containers side by side over one login", async () => {
    const { port = 22, user, agentSocket } = sshd.target;
    vi.stubEnv("SSH_AUTH_SOCK", agentSocket);
    const provider = await dockerPackage.configure({
      host: `ssh://${user}@127.0.0.1:${port}`,
      sshOpts: JSON.stringify(pinnedHostKeyArguments(sshd.hostKey)),
    });
    try {
      const names = Array.from({ length: 6 }, (_, index) => `side-${index}`);
      const type = "docker:index/container:Container";
      const news = { image: IMAGE, command: ["sleep", "1000"], labels: LABELS };
      const made = await Promise.all(names.map((name) => make(provider, callContext(type, name), news)));
      expect(new Set(made.map(({ id }) => id)).size).toBe(names.length);
      await Promise.all(
        made.map((one) => provider.delete(callContext(type, "x"), one.id, one.inputs, one.outputs)),
      );
    } finally {
      await provider.close();
    }
  });

  test("tells why when the host cannot be reached", async () => {
    const host = {
      host: "ssh://root@127.0.0.1:1",
      sshOpts: JSON.stringify(pinnedHostKeyArguments(sshd.hostKey)),
    };
    await expect(dockerPackage.configure(host)).rejects.toThrow(
      /failed to connect to any docker daemon: .*cannot be reached/,
    );
  });
});
