/** What the programs beside a stack note down, one JSON object a line. Times are milliseconds of the kernel's monotonic clock. */

/** How an attempt to write ended without an acknowledgement. */
export type ErrorKind =
  /** Nobody listens: ECONNREFUSED. */
  | "refused"
  /** The name of the router or the way to it is not there. */
  | "unreachable"
  /** The connection ended before the server had let the client in. */
  | "reset before authentication"
  /** An open session was cut. */
  | "reset"
  /** SQLSTATE 25006: the write reached an instance that takes none. */
  | "read-only"
  /** No answer within the client's own limit. */
  | "timeout"
  /** Any other word of a server, by its SQLSTATE in `code`. */
  | "other";

/** A row whose COMMIT was answered. */
export interface Acknowledged {
  readonly kind: "ack";
  readonly client: string;
  readonly sequence: number;
  readonly sent: number;
  readonly answered: number;
  /** Process id of the backend that wrote it. */
  readonly backend: number;
  /** `cluster_name` of the instance that wrote it. */
  readonly instance: string;
}

export interface Failed {
  readonly kind: "error";
  readonly client: string;
  readonly sequence: number;
  readonly sent: number;
  readonly answered: number;
  readonly error: ErrorKind;
  readonly code: string;
  readonly message: string;
}

export type WriterRecord = Acknowledged | Failed;

/** One instance's own answer to a write over its unix socket. */
export interface Sample {
  readonly sent: number;
  readonly answered: number;
  readonly writable: boolean;
  /** SQLSTATE or system error where it was not. */
  readonly code: string;
}

/** Milliseconds on the kernel's monotonic clock, which all hosts of a world share. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** The lines of a file of records. A last line that was cut short by a kill is left out. */
export function parseLines<T>(text: string): T[] {
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .flatMap((line) => {
      try {
        // A host that lost power may leave zeros between two lines.
        return line === "" ? [] : [JSON.parse(line) as T];
      } catch {
        return [];
      }
    });
}
