/** What a run learns on its way, for the ledger. */
export interface Learned {
  shutdown: string | null;
  replayed: string | null;
  timeline: number | null;
  /** What an operator will ask for later, in words. */
  readonly notes: string[];
}
