import { setTimeout as delay } from "node:timers/promises";

/**
 * Tailscale's HTTP API (https://tailscale.com/api) with an OAuth client's credentials: paths, headers and token exchange
 * as tailscale-client-go-v2 has them. No host is spoken to here.
 */

export const TAILSCALE_API = "https://api.tailscale.com";

export interface TailnetApiOptions {
  /** @default https://api.tailscale.com */
  readonly baseUrl?: string;
  /** @default "-", the tailnet that the credentials belong to */
  readonly tailnet?: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Seconds that one request may take. @default 60, as the Go client */
  readonly requestSeconds?: number;
  /** Seconds within which a 429 or 5xx is tried again. @default 30 */
  readonly retrySeconds?: number;
  readonly userAgent?: string;
  readonly signal?: AbortSignal;
}

export interface TailnetRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below /api/v2; its parts are encoded already. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** A text goes as it is, anything else as JSON. */
  readonly body?: unknown;
  /** @default application/json */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TailnetAnswer {
  readonly text: string;
  readonly etag: string | undefined;
}

/** An answer that is no success, or none at all (`status` 0). The message names the fix and never a credential. */
export class TailnetApiError extends Error {
  override readonly name = "TailnetApiError";
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Milliseconds between two tries where the server names none. */
const FIRST_PAUSE_MS = 500;

export class TailnetApi {
  readonly #options: TailnetApiOptions;
  readonly #base: string;
  readonly #token: { current: Promise<string> | undefined };

  constructor(
    options: TailnetApiOptions,
    token: { current: Promise<string> | undefined } = { current: undefined },
  ) {
    this.#options = options;
    this.#token = token;
    this.#base = (options.baseUrl ?? TAILSCALE_API).replace(/\/+$/, "");
  }

  /** The same, with the same token, within other limits. */
  within(limits: Pick<TailnetApiOptions, "signal" | "requestSeconds" | "retrySeconds">): TailnetApi {
    return new TailnetApi({ ...this.#options, ...limits }, this.#token);
  }

  /** Path of something of the tailnet. */
  tailnetPath(...parts: readonly string[]): string {
    return ["/tailnet", this.#options.tailnet ?? "-", ...parts]
      .map((part, i) => (i === 0 ? part : encodeURIComponent(part)))
      .join("/");
  }

  /** @throws {TailnetApiError} */
  async json<T>(request: TailnetRequest): Promise<T> {
    const { text } = await this.request(request);
    try {
      return JSON.parse(text === "" ? "null" : text) as T;
    } catch (cause) {
      throw new TailnetApiError(0, `${describe(request)}: the answer is no JSON`, { cause });
    }
  }

  /** @throws {TailnetApiError} */
  async request(request: TailnetRequest): Promise<TailnetAnswer> {
    // One token for all requests that wait; a refused one is asked for anew next time.
    this.#token.current ??= this.#fetchToken().catch((error: unknown) => {
      this.#token.current = undefined;
      throw error;
    });
    return this.#send(request, { authorization: `Bearer ${await this.#token.current}` });
  }

  /** RFC 6749, 4.4: client credentials; Tailscale's tokens live an hour, longer than any run. */
  async #fetchToken(): Promise<string> {
    const { clientId, clientSecret } = this.#options;
    const { text } = await this.#send(
      {
        method: "POST",
        path: "/oauth/token",
        body: new URLSearchParams({ grant_type: "client_credentials" }).toString(),
        contentType: "application/x-www-form-urlencoded",
      },
      {
        authorization: `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString("base64")}`,
      },
    );
    try {
      const { access_token: token } = JSON.parse(text) as { access_token?: unknown };
      if (typeof token === "string" && token !== "") return token;
    } catch {
      // Said below: what came may hold half a token.
    }
    throw new TailnetApiError(0, "POST /oauth/token: the answer holds no token");
  }

  async #send(request: TailnetRequest, headers: Readonly<Record<string, string>>): Promise<TailnetAnswer> {
    const deadline = Date.now() + (this.#options.retrySeconds ?? 30) * 1000;
    for (let pause = FIRST_PAUSE_MS; ; pause *= 2) {
      const response = await this.#fetch(request, headers);
      const text = await this.#textOf(request, response);
      if (response.ok) return { text, etag: response.headers.get("etag") ?? undefined };
      const wait = retryAfter(response) ?? pause;
      // A POST may have been done before a 5xx: only what changes nothing twice is sent again. A 429 was not done.
      const again = response.status === 429 || (response.status >= 500 && request.method === "GET");
      if (!again || Date.now() + wait > deadline) throw refusal(request, response.status, text);
      await delay(
        wait,
        undefined,
        this.#options.signal === undefined ? {} : { signal: this.#options.signal },
      );
    }
  }

  async #fetch(request: TailnetRequest, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { requestSeconds = 60, userAgent = "heatwave", signal } = this.#options;
    const limit = AbortSignal.timeout(requestSeconds * 1000);
    const { body, contentType = "application/json" } = request;
    const query = request.query === undefined ? "" : `?${new URLSearchParams(request.query).toString()}`;
    try {
      return await fetch(`${this.#base}/api/v2${request.path}${query}`, {
        method: request.method,
        headers: {
          "user-agent": userAgent,
          [body === undefined ? "accept" : "content-type"]: contentType,
          ...request.headers,
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
    } catch (cause) {
      throw this.#silence(request, limit, cause);
    }
  }

  async #textOf(request: TailnetRequest, response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (cause) {
      throw this.#silence(request, undefined, cause);
    }
  }

  #silence(request: TailnetRequest, limit: AbortSignal | undefined, cause: unknown): TailnetApiError {
    const why =
      limit?.aborted === true
        ? `no answer within ${this.#options.requestSeconds ?? 60} s`
        : `no answer (${reasonOf(cause)})`;
    return new TailnetApiError(0, `${describe(request)}: ${why} from ${this.#base}`, { cause });
  }
}

function describe({ method, path }: TailnetRequest): string {
  return `${method} ${path}`;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error)
    return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
  return String(cause);
}

/** Milliseconds; RFC 9110, 10.2.3: seconds or a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

const FIXES: Readonly<Record<number, string>> = {
  401: "Tailscale refuses the OAuth client; fix: set heatwave:secrets.tailnetClientId and tailnetClientSecret of one that is there",
  403: "the OAuth client may not do this; fix: give it the scope (docs/tailnet.md) and the tags",
  429: "too many requests; fix: try again in a minute",
};

function refusal(request: TailnetRequest, status: number, text: string): TailnetApiError {
  const fix = FIXES[status];
  return new TailnetApiError(
    status,
    `${describe(request)}: ${status} ${messageOf(text)}${fix === undefined ? "" : `; ${fix}`}`,
  );
}

/** Tailscale's errors are `{"message": …}`. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === "string") return message;
  } catch {
    // A proxy's page: its status says enough.
  }
  return "(without a message)";
}
