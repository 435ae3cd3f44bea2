import { REPLICATION_ROLE } from "../topology/model.ts";
import { askControl } from "./control-socket.ts";
import type { ControlEnd, ControlRequest } from "./control-socket.ts";
import { askHaproxy } from "./haproxy-socket.ts";
import { SshHost } from "./ssh.ts";
import type { ExecResult } from "./ssh.ts";
import { posixCommand } from "./ssh-options.ts";

/** A host of a stack, as the runbooks need to know it. */
export interface StackHostAddress {
  readonly name: string;
  readonly address: string;
  readonly ssh: { readonly user: string; readonly port: number; readonly hostKey: string };
  /** Folder for heatwave's files on the host. */
  readonly root: string;
}

const DIAL_ATTEMPTS = 1;

/**
 * One host of a stack over its one SSH connection: commands, the host tool, and the sockets of pg-health, HAProxy and
 * PostgreSQL. Whatever it does has a limit.
 */
export class StackHost {
  readonly name: string;
  readonly root: string;
  readonly #ssh: SshHost;
  readonly #sudo: string;

  /** @param dialSeconds for the one attempt to log in: a dead host must not hold up what is said of the others */
  constructor(host: StackHostAddress, dialSeconds: number) {
    this.name = host.name;
    this.root = host.root;
    this.#sudo = host.ssh.user === "root" ? "" : "sudo -n ";
    this.#ssh = new SshHost(
      { address: host.address, port: host.ssh.port, user: host.ssh.user, hostKey: host.ssh.hostKey },
      { attempts: DIAL_ATTEMPTS, timeoutSeconds: dialSeconds },
    );
  }

  /**
   * Logs in, unless that is done already.
   * @throws SshError that names why the host cannot be reached
   */
  async connect(): Promise<void> {
    await this.#ssh.connect();
  }

  /** A shell script with arguments as the SSH user. @throws SshError when the limit is over or the host is lost */
  run(
    script: string,
    args: readonly string[],
    options: { readonly seconds: number; readonly stdin?: string },
  ): Promise<ExecResult> {
    return this.#ssh.exec(posixCommand(script, ...args), {
      timeoutSeconds: options.seconds,
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    });
  }

  /** The host tool (components/docker-host/source/host-tool.sh) as root. */
  tool(
    args: readonly string[],
    options: { readonly seconds: number; readonly stdin?: string },
  ): Promise<ExecResult> {
    return this.run(`exec ${this.#sudo}"$@"`, [this.#toolPath, ...args], options);
  }

  /** The host tool with an input and an output that stay open. */
  toolStream(args: readonly string[]): ReturnType<SshHost["stream"]> {
    return this.#ssh.stream(`${this.#sudo}${[this.#toolPath, ...args].join(" ")}`);
  }

  get #toolPath(): string {
    return `${this.root}/bin/host-tool`;
  }

  /** pg-health of a site on this host. @throws {ControlSilent} or SshError */
  async control(container: string, asked: Omit<ControlRequest, "socket">): Promise<ControlEnd> {
    const socket = await this.#ssh.forward(`${this.root}/${container}/run/control.sock`);
    return askControl({ ...asked, socket });
  }

  /** A command line of a router's HAProxy on this host. @throws Error when it does not answer, or SshError */
  async haproxy(container: string, command: string, limitMs: number): Promise<string> {
    const place = `${this.root}/${container}/run/admin.sock`;
    return askHaproxy(await this.#ssh.forward(place), place, command, limitMs);
  }

  /**
   * SQL as the superuser of a site on this host, over PostgreSQL's own socket in its container; the statement goes
   * by stdin. Gives what psql prints unaligned, without headers.
   * @throws Error with psql's or Docker's words
   */
  async sql(
    instance: { readonly container: string; readonly port: number },
    statement: string,
    seconds: number,
  ): Promise<string> {
    const script =
      'exec timeout "$1" docker exec -i "$2" psql -X -q -At -v ON_ERROR_STOP=1 -h /run/heatwave/sql -p "$3" -U postgres -d postgres';
    const result = await this.run(script, [String(seconds), instance.container, String(instance.port)], {
      seconds: seconds + 1,
      stdin: `${statement}\n`,
    });
    if (result.exitCode === 0) return result.stdout.trimEnd();
    const said = result.stderr.trim().split("\n").at(-1) ?? "";
    throw new Error(result.exitCode === 124 ? `no answer within ${seconds} s` : said);
  }

  /**
   * Logs in at another site as this host's standby would, from inside its container.
   * @returns what IDENTIFY_SYSTEM answers: system identifier, timeline, position, database
   * @throws Error with psql's words
   */
  async replicationLogin(
    container: string,
    at: { readonly host: string; readonly port: number },
    seconds: number,
  ): Promise<string> {
    const conninfo = `host=${at.host} port=${at.port} user=${REPLICATION_ROLE} passfile=/run/heatwave/replication.pgpass connect_timeout=5 dbname=postgres replication=true`;
    const script = 'exec timeout "$1" docker exec "$2" psql -X -q -At -d "$3" -c IDENTIFY_SYSTEM';
    const result = await this.run(script, [String(seconds), container, conninfo], { seconds: seconds + 1 });
    if (result.exitCode !== 0) throw new Error(result.stderr.trim().split("\n").at(-1) ?? "no answer");
    return result.stdout.trim();
  }

  async close(): Promise<void> {
    await this.#ssh.close();
  }
}
