/** How long work tells its operator what it does. Implemented by the command line; a test passes `silent`. */
export interface Progress {
  /** Runs one step. It is shown while it runs, with its time when it ends; steps may run side by side. */
  step<T>(title: string, work: (status: (text: string) => void) => Promise<T>): Promise<T>;
  /** A line that stays. */
  note(text: string): void;
}

export const silent: Progress = {
  step: (_title, work) => work(() => undefined),
  note: () => undefined,
};
