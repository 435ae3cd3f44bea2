/** An error made for its reader: what happened, why, and the next command to type. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
  readonly why: string;
  readonly next: string;
  constructor(what: string, why: string, next: string, options?: ErrorOptions) {
    super(what, options);
    this.why = why;
    this.next = next;
  }
}

/** The last lines of a program's output, which is where it says what is wrong. */
export function tail(text: string, lines = 12): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
