import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { StackHost } from "../../hosts/stack-host.ts";
import { Bell } from "./bell.ts";

const MARK = "--heatwave--";

/**
 * PgBouncer's admin console at one site, over a session that stays open: a new one would cost half a second. Questions
 * go one after the other.
 */
export class PoolerConsole {
  readonly #child: ChildProcessWithoutNullStreams;
  #heard = "";
  #said = "";
  readonly #bell = new Bell();
  #ended = false;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (text: Buffer) => {
      this.#heard += text.toString();
      this.#bell.ring();
    });
    child.stderr.on("data", (text: Buffer) => (this.#said += text.toString()));
    child.once("close", () => {
      this.#ended = true;
      this.#bell.ring();
    });
  }

  /** @throws Error when the console does not answer within the limit */
  static async open(host: StackHost, container: string, limitMs: number): Promise<PoolerConsole> {
    const console = new PoolerConsole(await host.toolStream(["pooler-console", container]));
    await console.ask("show version", limitMs);
    return console;
  }

  /**
   * One command; gives its rows, unaligned.
   * @throws Error with PgBouncer's words, or when it does not answer within the limit
   */
  ask(command: string, limitMs: number): Promise<string> {
    const turn = this.#turn.then(() => this.#ask(command, limitMs));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #ask(command: string, limitMs: number): Promise<string> {
    this.#heard = "";
    this.#said = "";
    this.#child.stdin.write(`${command};\n\\echo ${MARK} :ERROR :LAST_ERROR_MESSAGE\n`);
    const until = performance.now() + limitMs;
    for (;;) {
      const [answer = "", end] = this.#heard.split(`${MARK} `);
      if (end?.includes("\n") === true) {
        if (end.startsWith("true"))
          throw new Error(`PgBouncer: ${command}: ${end.slice("true ".length).trim()}`);
        return answer.trim();
      }
      const left = until - performance.now();
      if (this.#ended) throw new Error(`PgBouncer's console ended: ${this.#said.trim() || "without a word"}`);
      if (left <= 0) throw new Error(`PgBouncer: ${command}: no answer within ${limitMs / 1000} s`);
      await this.#bell.heard(left);
    }
  }

  close(): void {
    this.#child.stdin.end();
  }
}
