/** Asks the other sites again and again, and keeps what they last said. */
import type { SiteConfig } from "./config.ts";
import { askPeer } from "./peer.ts";
import type { PeerAnswer } from "./peer.ts";

/** Milliseconds after which an answer is a silence. */
const STALE_MS = 6000;

export interface PeerWatchOptions {
  /** Whom to ask, looked up before each round. */
  readonly peers: () => readonly Pick<SiteConfig, "name" | "health">[];
  readonly secret: string;
  /** Milliseconds that one answer may take. */
  readonly limitMs: number;
  /** Milliseconds between two rounds. */
  readonly everyMs: number;
  /** Something changed in the answers. */
  readonly onChange: () => void;
}

export class PeerWatch {
  readonly #options: PeerWatchOptions;
  readonly #now: () => number;
  readonly #last = new Map<string, { readonly answer: PeerAnswer; readonly at: number }>();
  #round: Promise<readonly PeerAnswer[]> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #said = "";

  constructor(options: PeerWatchOptions, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#now = now;
  }

  start(): void {
    this.#timer = setInterval(() => void this.ask(), this.#options.everyMs);
    void this.ask();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last answers; one that is too old is a silence. */
  get answers(): readonly PeerAnswer[] {
    const now = this.#now();
    return [...this.#last].map(([site, { answer, at }]) =>
      now - at > STALE_MS ? { site, answers: false, why: "not asked lately" } : answer,
    );
  }

  /** Asks everybody anew, or joins the round that is under way. */
  ask(): Promise<readonly PeerAnswer[]> {
    this.#round ??= this.#askAll().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Answers that were asked for after this call: a round that was under way does not count. */
  async askAnew(): Promise<readonly PeerAnswer[]> {
    await this.#round;
    return this.ask();
  }

  async #askAll(): Promise<readonly PeerAnswer[]> {
    const { peers, secret, limitMs } = this.#options;
    const asked = peers();
    for (const site of this.#last.keys())
      if (!asked.some((peer) => peer.name === site)) this.#last.delete(site);
    const answers = await Promise.all(
      asked.map(async (peer) => {
        const answer = await askPeer(peer, secret, limitMs);
        // Each as it comes: one silent site must not make the others' answers old.
        this.#last.set(peer.name, { answer, at: this.#now() });
        this.#tell();
        return answer;
      }),
    );
    return answers;
  }

  #tell(): void {
    const said = JSON.stringify(
      [...this.#last.values()].map(({ answer }) =>
        answer.answers ? { ...answer.facts, nonce: "" } : { site: answer.site, answers: false },
      ),
    );
    if (said === this.#said) return;
    this.#said = said;
    this.#options.onChange();
  }
}
