import Dockerode from "dockerode";
import { Agent } from "node:http";

import { parseDockerHost } from "./docker-address.ts";
import type { DockerAddress } from "./docker-address.ts";
import { DockerBridge } from "./docker-bridge.ts";
import { ContainerEvents } from "./docker-events.ts";
import { borrowHost } from "./ssh-pool.ts";
import { describeTarget } from "./ssh-errors.ts";

/** Requests at once per daemon; over SSH each holds a session, of which a host allows ten. */
const CONNECTIONS = 5;
/** An idle connection gives its session back soon: commands on the same host may be waiting for one. */
const IDLE_MS = 1000;
/** A daemon's host that does not answer is told soon: one dead site must not hold up the others. */
const DIAL_ATTEMPTS = 2;
const DIAL_SECONDS = 30;

export interface DockerHostOptions {
  /** Further ssh arguments, e.g. those that pin the host key. */
  readonly sshOptions?: readonly string[];
}

/** An answer of the daemon that means failure. `status` is the HTTP status; undefined when it never answered. */
export class DockerError extends Error {
  readonly status: number | undefined;
  constructor(message: string, status: number | undefined) {
    super(message);
    this.name = "DockerError";
    this.status = status;
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof DockerError && error.status === 404;

/**
 * One Docker daemon, over its unix socket or over SSH. Connections are kept and reused, so a request costs a
 * round trip and not a new `dial-stdio`.
 */
export class DockerHost {
  readonly description: string;
  readonly #address: DockerAddress;
  readonly #bridge: DockerBridge | undefined;
  readonly #release: () => Promise<void>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, timeout: IDLE_MS });
  #client: Promise<Dockerode> | undefined;
  #events: ContainerEvents | undefined;

  /** @throws Error when `host` is neither `unix:///path` nor `ssh://user@address:port` */
  constructor(host: string, options: DockerHostOptions = {}) {
    this.#address = parseDockerHost(host, options.sshOptions);
    if (this.#address.kind === "ssh") {
      const { host: ssh, release } = borrowHost(this.#address.target);
      const timeoutSeconds = this.#address.dialTimeoutSeconds ?? DIAL_SECONDS;
      this.#bridge = new DockerBridge(ssh, { attempts: DIAL_ATTEMPTS, timeoutSeconds });
      this.#release = release;
      this.description = `Docker at ${describeTarget(this.#address.target)}`;
    } else {
      this.#release = () => Promise.resolve();
      this.description = `Docker at ${this.#address.path}`;
    }
  }

  /**
   * Runs one request (or a few that belong together) against the daemon.
   * @throws DockerError with the daemon's own words; SshError when the host cannot be reached
   */
  async call<Result>(request: (client: Dockerode) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const client = await this.#connected(signal);
    try {
      return await request(client);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** @throws DockerError when the daemon does not answer */
  async ping(signal?: AbortSignal): Promise<void> {
    await this.call((client) => client.ping(), signal);
  }

  /** The events of this daemon's containers; one subscription for all who wait. */
  get events(): ContainerEvents {
    this.#events ??= new ContainerEvents((signal) =>
      this.call((client) =>
        client.getEvents({ filters: JSON.stringify({ type: ["container"] }), abortSignal: signal }),
      ),
    );
    return this.#events;
  }

  async close(): Promise<void> {
    this.#events?.close();
    this.#agent.destroy();
    await this.#bridge?.close();
    await this.#release();
  }

  async #connected(signal: AbortSignal | undefined): Promise<Dockerode> {
    if (this.#bridge !== undefined) await this.#bridge.open(signal);
    this.#client ??= this.#makeClient(signal);
    this.#client.catch(() => {
      this.#client = undefined;
    });
    return this.#client;
  }

  async #makeClient(signal: AbortSignal | undefined): Promise<Dockerode> {
    const socketPath = this.#address.kind === "unix" ? this.#address.path : await this.#bridge?.open(signal);
    // The agent is handed on to every request, which the published types do not know.
    const options: Dockerode.DockerOptions & { readonly agent: Agent } = {
      ...(socketPath === undefined ? {} : { socketPath }),
      agent: this.#agent,
    };
    return new Dockerode(options);
  }

  #explain(error: unknown): unknown {
    if (!(error instanceof Error) || error.name === "AbortError") return error;
    const { statusCode, json, code } = error as Error & {
      statusCode?: number;
      json?: { message?: string } | null;
      code?: string;
    };
    if (statusCode !== undefined) {
      return new DockerError(json?.message ?? error.message, statusCode);
    }
    if (code === undefined) return error;
    const why = this.#bridge?.failure?.message ?? explainCode(code) ?? error.message;
    return new DockerError(`${this.description} does not answer: ${why}`, undefined);
  }
}

function explainCode(code: string): string | undefined {
  if (code === "ENOENT") return "there is no such socket; is the Docker daemon running?";
  if (code === "ECONNREFUSED") return "nobody listens on the socket; is the Docker daemon running?";
  if (code === "EACCES") return "this user may not open the socket; add it to the group docker";
  return undefined;
}
