/** An end of a runbook that is not success, made for its reader: what happened, and the next command to type. */
export class RunbookError extends Error {
  override readonly name = "RunbookError";
  /** `refused`: nothing was begun; `aborted`: all is as it was; `attention`: it is neither. */
  readonly kind: "usage" | "refused" | "aborted" | "attention";
  readonly next: string | undefined;

  constructor(kind: RunbookError["kind"], message: string, next?: string) {
    super(message);
    this.kind = kind;
    this.next = next;
  }
}
