/** What runbooks and operators order at a site: grants, starts, stops and promotions. */
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Brain } from "./brain.ts";
import type { ControlEnd } from "./control.ts";
import { isHeldback, promotionObjection } from "./decide.ts";
import { OrderError } from "./entrypoint.ts";
import { checkGrant } from "./grant.ts";
import {
  leftRecovery,
  RECOVERY_QUESTION,
  REPLAYED_QUESTION,
  replayedPast,
  shutdownCheckpoint,
} from "./hand-over.ts";
import type { PeerWatch } from "./peer-watch.ts";
import type { SingleFlight } from "./single-flight.ts";
import type { Site } from "./site.ts";
import type { SqlAnswer } from "./sql.ts";
import { freeBytes, roomObjection } from "./room.ts";

/** Milliseconds that an order may take. */
const ORDER_MS = 120_000;

export interface OrderParts {
  readonly site: Site;
  readonly brain: Brain;
  readonly peers: PeerWatch;
  readonly sql: SingleFlight<SqlAnswer>;
  /** One value by a question to PostgreSQL. */
  readonly ask: (question: string) => Promise<string | null>;
  readonly log: Logger;
}

export class Orders {
  readonly #site: Site;
  readonly #brain: Brain;
  readonly #peers: PeerWatch;
  readonly #sql: SingleFlight<SqlAnswer>;
  readonly #ask: OrderParts["ask"];
  readonly #log: Logger;

  constructor({ site, brain, peers, sql, ask, log }: OrderParts) {
    this.#site = site;
    this.#brain = brain;
    this.#peers = peers;
    this.#sql = sql;
    this.#ask = ask;
    this.#log = log;
  }

  /**
   * `{expect: {epoch, state} | null, grant}`: replaces the grant if it still is what the asker saw.
   */
  async grant(body: unknown): Promise<ControlEnd> {
    const { expect, grant } = (body ?? {}) as { readonly expect?: unknown; readonly grant?: unknown };
    const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
    const checked = checkGrant(grant);
    if (checked.kind !== "grant")
      return refused(`grant: ${checked.kind === "unusable" ? checked.why : "none was given"}`);
    const before = await this.#site.read();
    let found = "";
    const written = await this.#site.changeGrant((present) => {
      const seen =
        present.kind === "grant" ? { epoch: present.grant.epoch, state: present.grant.state } : null;
      found =
        present.kind === "grant" ? `epoch ${present.grant.epoch}, ${present.grant.state}` : present.kind;
      return isDeepStrictEqual(seen, expect) ? checked.grant : undefined;
    });
    if (written === undefined) return refused(`the grant is another one by now: ${found}`);
    this.#log.info({ grant: written }, "grant given");
    // The standby.signal of a site that was held back stays its own under the new grant.
    if (written.state === "held" && isHeldback(before) && before.heldback !== undefined)
      await this.#site.writeHeldback({ ...before.heldback, epoch: written.epoch });
    await this.#brain.look();
    return { ok: true, message: `grant of epoch ${written.epoch}, ${written.state}`, value: written };
  }

  /**
   * `{verb: start | stop | restart | reload | promote, mode?: fast | immediate}`. A start goes through the start
   * rules, a restart too; a promotion needs a held grant, which the runbook gives first. A stop says `shutdown
   * checkpoint X/Y` as soon as that is certain, which is before its end.
   */
  async order(body: unknown, say: (line: string) => void): Promise<ControlEnd> {
    const { verb, mode = "fast" } = body as { readonly verb?: unknown; readonly mode?: unknown };
    const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
    if (mode !== "fast" && mode !== "immediate") return refused("mode: fast or immediate");
    this.#log.info({ verb, mode }, "ordered");
    try {
      switch (verb) {
        case "stop":
          // Written first: a stop that a crash interrupts must not be undone by the next look.
          await this.#site.writeIntent({ run: false });
          await this.#stop(mode, say);
          break;
        case "reload":
          await this.#site.entrypoint.order(verb, [], ORDER_MS);
          break;
        case "restart":
        case "start": {
          await this.#site.writeIntent({ run: true });
          if (verb === "restart") await this.#site.entrypoint.order("stop", [mode], ORDER_MS);
          this.#brain.forgive();
          await this.#peers.askAnew();
          say("waiting until PostgreSQL accepts connections");
          const heldBack = await this.awaitServing(AbortSignal.timeout(ORDER_MS));
          if (heldBack !== undefined) return refused(`held back: ${heldBack}`);
          break;
        }
        case "promote":
          return await this.#promote(say);
        default:
          return refused("verb: start, stop, restart, reload or promote");
      }
    } catch (error) {
      if (error instanceof OrderError) return { ok: false, kind: error.result, message: error.message };
      throw error;
    } finally {
      this.#sql.forget();
      await this.#brain.look();
    }
    return { ok: true, message: `${verb} done` };
  }

  async #stop(mode: "fast" | "immediate", say: (line: string) => void): Promise<void> {
    const stopped = this.#site.entrypoint.order("stop", [mode], ORDER_MS);
    const checkpoint = await shutdownCheckpoint(this.#site.settings.postgres.dataDirectory, stopped);
    if (checkpoint !== undefined) say(`shutdown checkpoint ${checkpoint}`);
    await stopped;
  }

  /** `{lsn, limitMs}`: waits until this standby replayed past a position. */
  async replayed(body: unknown): Promise<ControlEnd> {
    const { lsn, limitMs } = body as { readonly lsn?: unknown; readonly limitMs?: unknown };
    if (typeof lsn !== "string" || typeof limitMs !== "number" || !(limitMs > 0 && limitMs <= ORDER_MS))
      return { ok: false, kind: "refused", message: `lsn: X/Y; limitMs: above 0 and up to ${ORDER_MS}` };
    try {
      const value = await replayedPast(lsn, limitMs, () => this.#ask(REPLAYED_QUESTION));
      return { ok: true, message: `replayed ${value.replayed}`, value };
    } catch (error) {
      return { ok: false, kind: "failed", message: (error as Error).message };
    }
  }

  async #promote(say: (line: string) => void): Promise<ControlEnd> {
    const facts = await this.#site.read();
    const { site, postgres } = this.#site.settings;
    const objection =
      promotionObjection(facts, site) ?? roomObjection(await freeBytes(postgres.dataDirectory));
    if (objection !== undefined) return { ok: false, kind: "refused", message: `promote: ${objection}` };
    const ordered = this.#site.entrypoint.order("promote", [], ORDER_MS);
    // The order ends when the control file says so, which the entrypoint reads ten times a second: writes wait for
    // this, and PostgreSQL's own word is there at once.
    const left = leftRecovery(ORDER_MS, () => this.#ask(RECOVERY_QUESTION));
    left.catch(() => undefined);
    ordered.catch((error: unknown) => this.#log.error({ err: error }, "the order to promote ended"));
    await Promise.race([ordered, left]);
    say("PostgreSQL left recovery");
    this.#sql.forget();
    await this.#brain.look();
    const answer = await this.#sql.get();
    if (!answer.ok || answer.facts.inRecovery)
      return { ok: false, kind: "failed", message: "promoted, but PostgreSQL does not say so yet" };
    const { timeline, currentLsn } = answer.facts;
    return { ok: true, message: `promoted to timeline ${timeline}`, value: { timeline, currentLsn } };
  }

  /** Looks until PostgreSQL accepts connections; ends with the reason when the start rules hold it back. */
  async awaitServing(signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      const looked = this.#nextLook(signal);
      await this.#brain.look();
      const decision = this.#brain.view?.decision;
      if (decision?.do === "wait" && ["held", "stopped", "conflict", "diverged"].includes(decision.word))
        return decision.why;
      const veto = this.#brain.view?.veto;
      if (veto !== undefined && veto.word !== "stopping" && decision?.do === "nothing") return veto.why;
      const entrypoint = this.#brain.view?.facts.entrypoint;
      const settled = decision?.do === "nothing" && veto === undefined;
      if (settled && entrypoint?.answers === true && entrypoint.status.postgres === "running") {
        this.#sql.forget();
        const answer = await this.#sql.get();
        // A refused role is a server that accepts connections; the role comes with the next command.
        if (answer.ok || answer.reason === "login") return undefined;
      }
      if (signal.aborted) throw new Error("PostgreSQL did not accept connections in time");
      await looked;
    }
  }

  #nextLook(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        forget();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const forget = this.#brain.onLook(done);
      signal.addEventListener("abort", done);
    });
  }
}
