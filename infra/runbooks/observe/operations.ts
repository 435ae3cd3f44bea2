import type { LedgerEntry, Lock, LockView } from "./observation.ts";

/** What `host-tool operations` prints: `free`, or `alive`/`gone` and the lock; then the ledger's last lines. Pure. */

export interface Operations {
  readonly lock: LockView | null;
  readonly ledger: readonly LedgerEntry[];
}

/** @throws Error when the text is none of host-tool's */
export function readOperations(text: string): Operations {
  const [state = "", ...lines] = text.split("\n");
  if (state === "free") return { lock: null, ledger: lines.flatMap(ledgerEntry) };
  if (state !== "alive" && state !== "gone")
    throw new Error(`${JSON.stringify(state)} is no state of a lock`);
  const [lock = "", ...rest] = lines;
  return { lock: readLock(state, lock), ledger: rest.flatMap(ledgerEntry) };
}

/** A refused lock's answer: the state and the lock that is there. */
export function readLock(state: string, text: string): LockView {
  const lock = JSON.parse(text) as Lock;
  return { ...lock, alive: state === "alive" };
}

/** A line that a crash cut short is no entry. */
function ledgerEntry(line: string): LedgerEntry[] {
  try {
    const entry = JSON.parse(line) as LedgerEntry | null;
    return typeof entry?.id === "string" ? [entry] : [];
  } catch {
    return [];
  }
}

/** Every run once, newest first: each begins with one line and ends with another, on every host that was reached. */
export function mergeLedgers(ledgers: readonly (readonly LedgerEntry[])[]): readonly LedgerEntry[] {
  const runs = new Map<string, LedgerEntry>();
  for (const entry of ledgers.flat()) {
    const known = runs.get(entry.id);
    if (known === undefined || known.ended === null) runs.set(entry.id, entry);
  }
  return [...runs.values()].sort((a, b) => (a.started < b.started ? 1 : -1));
}
